"""One module for each bug: `plant()` puts it into the program that runs in this process.

Each is what a programmer would have written who did not know better. The layers that would have hidden it are taken
away with it, because whoever makes the mistake does not have them; `yijian_chaos.planted.bugs` says which.
"""
