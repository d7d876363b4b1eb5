"""Run the department: ``python -m public_security`` with settings from `YIJIAN_*` variables."""

from public_security.main import department

if __name__ == "__main__":
    department.run()
