"""Run the department: ``python -m health`` with settings from `YIJIAN_*` variables."""

from health.main import department

if __name__ == "__main__":
    department.run()
