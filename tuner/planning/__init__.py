"""What a search would cost before it is started: a few timed steps, and a simulation of the scheduler.

Imported by the command line and `tuner.api`. A new warning goes into `advice`, a new assumption about time
into `timing`.
"""
