"""The levels of images: what makes a real image hard to see. Known here as words; what shows images lives a floor above."""

from typing import Annotated

from pydantic import Field

from curriculode.theory.core.description import LARGEST
from curriculode.theory.tasks.known import OTHER_LEVELS
from curriculode.theory.tasks.level import Level


class ImageLevel(Level):
    """One degree of difficulty of images.

    Parameters
    ----------
    name : str
        How it is called in tables and files.
    share : float, optional
        Its share of the examples.
    pixel_noise : float, optional
        Standard deviation of Gaussian noise on every pixel, >= 0, added after scaling and not clipped; by default none.
    frame_scale : float, optional
        The side of the image over that of the frame, in (0, 1]: the image is shrunk bilinearly and pasted somewhere on another
        one; by default 1, the image alone.

    Examples
    --------
    >>> ImageLevel("hard", pixel_noise=1.5).settings
    {'pixel_noise': 1.5}
    """

    pixel_noise: Annotated[float, Field(ge=0, le=LARGEST)] | None = None
    frame_scale: Annotated[float, Field(gt=0, le=1)] | None = None


OTHER_LEVELS.append(ImageLevel)
