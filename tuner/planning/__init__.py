"""What a search would cost before it is started: a few timed steps, and a simulation of the scheduler.

The command line and `tuner.api` import this room, and no other room does. A new warning goes into `advice`, a new
assumption about time into `timing`.
"""
