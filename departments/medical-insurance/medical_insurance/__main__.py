"""Run the department: ``python -m medical_insurance`` with settings from `YIJIAN_*` variables."""

from medical_insurance.main import department

if __name__ == "__main__":
    department.run()
