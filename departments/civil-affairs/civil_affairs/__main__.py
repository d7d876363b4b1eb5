"""Run the department: ``python -m civil_affairs`` with settings from `YIJIAN_*` variables."""

from civil_affairs.main import department

if __name__ == "__main__":
    department.run()
