"""The tasks: what is to be learnt, and the law of its examples at each level of difficulty."""

from curriculode.theory.tasks.example_law import ExampleLaw, Labels, Teacher
from curriculode.theory.tasks.images import ImageLevel
from curriculode.theory.tasks.known import TASKS
from curriculode.theory.tasks.level import Level
from curriculode.theory.tasks.task import Task, register_task
from curriculode.theory.tasks.teacher_student import TeacherStudent
from curriculode.theory.tasks.xor_mixture import XorMixture

__all__ = [
    "TASKS",
    "ExampleLaw",
    "ImageLevel",
    "Labels",
    "Level",
    "Task",
    "Teacher",
    "TeacherStudent",
    "XorMixture",
    "register_task",
]
