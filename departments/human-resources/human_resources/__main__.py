"""Run the department: ``python -m human_resources`` with settings from `YIJIAN_*` variables."""

from human_resources.main import department

if __name__ == "__main__":
    department.run()
