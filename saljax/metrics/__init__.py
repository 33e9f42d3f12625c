"""What judges a map; plain arrays in. An infinite value of a map counts as NaN."""

from saljax.metrics.complexity.skewness import skewness as skewness
from saljax.metrics.faithfulness.faithfulness import faithfulness as faithfulness
from saljax.metrics.faithfulness.faithfulness import faithfulness_curve as faithfulness_curve
from saljax.metrics.faithfulness.faithfulness import faithfulness_relative as faithfulness_relative
from saljax.metrics.faithfulness.insertion_deletion import InsertionDeletion as InsertionDeletion
from saljax.metrics.faithfulness.insertion_deletion import (
    InsertionDeletionCurves as InsertionDeletionCurves,
)
from saljax.metrics.faithfulness.insertion_deletion import insertion_deletion as insertion_deletion
from saljax.metrics.faithfulness.insertion_deletion import score_drop as score_drop
from saljax.metrics.localization.alpha import AlphaChoice as AlphaChoice
from saljax.metrics.localization.alpha import choose_alpha as choose_alpha
from saljax.metrics.localization.explainability import average_precision as average_precision
from saljax.metrics.localization.explainability import explainability as explainability
from saljax.metrics.localization.overlap import iou_curve as iou_curve
from saljax.metrics.localization.overlap import localization_box as localization_box
from saljax.metrics.localization.overlap import localization_error as localization_error
from saljax.metrics.localization.parts import MeanAndError as MeanAndError
from saljax.metrics.localization.parts import mean_and_error as mean_and_error
from saljax.metrics.localization.parts import parts_ratio as parts_ratio
from saljax.metrics.localization.parts import parts_saliency as parts_saliency
from saljax.metrics.localization.pointing_game import is_small as is_small
from saljax.metrics.localization.pointing_game import mean_over_classes as mean_over_classes
from saljax.metrics.localization.pointing_game import pointing_game as pointing_game
from saljax.metrics.localization.pointing_game import pointing_game_fong as pointing_game_fong
from saljax.metrics.localization.pointing_game import pointing_game_glas as pointing_game_glas
from saljax.metrics.truth.on_part import pointing_on_part as pointing_on_part
from saljax.metrics.truth.on_part import share_on_part as share_on_part
from saljax.ops.boxes import inside_boxes as inside_boxes
