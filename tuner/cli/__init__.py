"""The command line: parse, call, print. One file a group of commands, all attached in `app`.

Nothing imports this room. A new command goes into the file of its group, or into a new one that `app`
attaches; what it does stands in another room, so that `tuner.api` can offer it too. No module here imports
torch or Ray when it is loaded.
"""

from tuner.cli.app import commands, main

__all__ = ["commands", "main"]
