"""The tasks: what is to be learnt, and the law of its examples at each level of difficulty."""

from curriculode.theory.tasks.example_law import ExampleLaw, Teacher
from curriculode.theory.tasks.teacher_student import TeacherStudent
from curriculode.theory.tasks.xor_mixture import XorMixture

__all__ = ["ExampleLaw", "Teacher", "TeacherStudent", "XorMixture"]
