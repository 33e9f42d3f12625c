"""What judges a map; plain arrays in."""

from saljax.metrics.alpha import AlphaChoice as AlphaChoice
from saljax.metrics.alpha import choose_alpha as choose_alpha
from saljax.metrics.explainability import average_precision as average_precision
from saljax.metrics.explainability import explainability as explainability
from saljax.metrics.faithfulness import faithfulness as faithfulness
from saljax.metrics.faithfulness import faithfulness_curve as faithfulness_curve
from saljax.metrics.faithfulness import faithfulness_relative as faithfulness_relative
from saljax.metrics.ground_truth import pointing_on_part as pointing_on_part
from saljax.metrics.ground_truth import share_on_part as share_on_part
from saljax.metrics.insertion_deletion import InsertionDeletion as InsertionDeletion
from saljax.metrics.insertion_deletion import InsertionDeletionCurves as InsertionDeletionCurves
from saljax.metrics.insertion_deletion import insertion_deletion as insertion_deletion
from saljax.metrics.insertion_deletion import score_drop as score_drop
from saljax.metrics.localization import iou_curve as iou_curve
from saljax.metrics.localization import localization_box as localization_box
from saljax.metrics.localization import localization_error as localization_error
from saljax.metrics.parts import MeanAndError as MeanAndError
from saljax.metrics.parts import mean_and_error as mean_and_error
from saljax.metrics.parts import parts_ratio as parts_ratio
from saljax.metrics.parts import parts_saliency as parts_saliency
from saljax.metrics.pointing_game import is_small as is_small
from saljax.metrics.pointing_game import pointing_game as pointing_game
from saljax.metrics.pointing_game import pointing_game_fong as pointing_game_fong
from saljax.metrics.pointing_game import pointing_game_glas as pointing_game_glas
from saljax.metrics.skewness import skewness as skewness
from saljax.ops.boxes import inside_boxes as inside_boxes
