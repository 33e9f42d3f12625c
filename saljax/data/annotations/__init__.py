"""What people annotated in pictures: labels, boxes, masks and keypoints, in the common forms."""

from saljax.data.annotations.example import Example as Example
from saljax.data.annotations.example import Keypoint as Keypoint
from saljax.data.annotations.example import Object as Object
from saljax.data.annotations.forms import read as read
