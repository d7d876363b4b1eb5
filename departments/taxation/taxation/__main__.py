"""Run the department: ``python -m taxation`` with settings from `YIJIAN_*` variables."""

from taxation.main import department

if __name__ == "__main__":
    department.run()
