"""Medical insurance: enrolment of newborns, maternity costs."""
