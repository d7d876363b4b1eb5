"""Run a program of the platform with a bug in it: `python -m yijian_chaos.planted <bug> <module>`.

The bug is patched into the program's own classes before its `main` runs; the program itself knows of no bugs and has
no switch for one. Outside development it refuses.
"""

import os
import runpy
import sys
from importlib import import_module

from yijian_chaos.planted.bugs import BUGS


def main() -> None:
    if len(sys.argv) != 3 or sys.argv[1] not in BUGS:
        raise SystemExit(f"python -m yijian_chaos.planted <bug> <module>, with one of these bugs: {', '.join(BUGS)}")
    if os.environ.get("YIJIAN_ENVIRONMENT") != "development":
        raise SystemExit("bugs are planted in development only: set YIJIAN_ENVIRONMENT=development")
    name, module = sys.argv[1:]
    import_module(f"yijian_chaos.planted.patches.{name.replace('-', '_')}").plant()
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


main()
