"""Run the department: ``python -m disease_control`` with settings from `YIJIAN_*` variables."""

from disease_control.main import department

if __name__ == "__main__":
    department.run()
