"""What judges a map; plain arrays in. An infinite value of a map counts as NaN."""

from saljax.metrics.complexity.entropy import complexity as complexity
from saljax.metrics.complexity.entropy import effective_complexity as effective_complexity
from saljax.metrics.complexity.skewness import skewness as skewness
from saljax.metrics.complexity.sparseness import sparseness as sparseness
from saljax.metrics.faithfulness.adcc import Adcc as Adcc
from saljax.metrics.faithfulness.adcc import Arcc as Arcc
from saljax.metrics.faithfulness.adcc import adcc as adcc
from saljax.metrics.faithfulness.adcc import arcc as arcc
from saljax.metrics.faithfulness.average_drop import AverageDrop as AverageDrop
from saljax.metrics.faithfulness.average_drop import average_drop as average_drop
from saljax.metrics.faithfulness.completeness import Completeness as Completeness
from saljax.metrics.faithfulness.completeness import completeness as completeness
from saljax.metrics.faithfulness.correlation import (
    faithfulness_correlation as faithfulness_correlation,
)
from saljax.metrics.faithfulness.correlation import mu_fidelity as mu_fidelity
from saljax.metrics.faithfulness.faithfulness import faithfulness as faithfulness
from saljax.metrics.faithfulness.faithfulness import faithfulness_curve as faithfulness_curve
from saljax.metrics.faithfulness.faithfulness import faithfulness_relative as faithfulness_relative
from saljax.metrics.faithfulness.insertion_deletion import InsertionDeletion as InsertionDeletion
from saljax.metrics.faithfulness.insertion_deletion import (
    InsertionDeletionCurves as InsertionDeletionCurves,
)
from saljax.metrics.faithfulness.insertion_deletion import insertion_deletion as insertion_deletion
from saljax.metrics.faithfulness.insertion_deletion import score_drop as score_drop
from saljax.metrics.faithfulness.irof import irof as irof
from saljax.metrics.faithfulness.monotonicity import Monotonicity as Monotonicity
from saljax.metrics.faithfulness.monotonicity import monotonicity as monotonicity
from saljax.metrics.faithfulness.monotonicity import (
    monotonicity_correlation as monotonicity_correlation,
)
from saljax.metrics.faithfulness.pixel_flipping import PixelFlipping as PixelFlipping
from saljax.metrics.faithfulness.pixel_flipping import PixelFlippingCurves as PixelFlippingCurves
from saljax.metrics.faithfulness.pixel_flipping import pixel_flipping as pixel_flipping
from saljax.metrics.faithfulness.road import Road as Road
from saljax.metrics.faithfulness.road import road as road
from saljax.metrics.faithfulness.sensitivity_n import SensitivityN as SensitivityN
from saljax.metrics.faithfulness.sensitivity_n import sensitivity_n as sensitivity_n
from saljax.metrics.faithfulness.sufficiency import sufficiency as sufficiency
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
from saljax.metrics.localization.relevance import localization_auc as localization_auc
from saljax.metrics.localization.relevance import relevance_mass as relevance_mass
from saljax.metrics.localization.relevance import relevance_rank as relevance_rank
from saljax.metrics.localization.relevance import top_k_intersection as top_k_intersection
from saljax.metrics.robustness.infidelity import infidelity as infidelity
from saljax.metrics.robustness.randomization import (
    efficient_randomization as efficient_randomization,
)
from saljax.metrics.robustness.randomization import random_logit as random_logit
from saljax.metrics.robustness.randomization import randomization as randomization
from saljax.metrics.robustness.sensitivity import Sensitivity as Sensitivity
from saljax.metrics.robustness.sensitivity import max_sensitivity as max_sensitivity
from saljax.metrics.robustness.sensitivity import sensitivity as sensitivity
from saljax.metrics.robustness.smooth import smooth_randomization as smooth_randomization
from saljax.metrics.similarity import Similarity as Similarity
from saljax.metrics.similarity import pearson as pearson
from saljax.metrics.similarity import spearman as spearman
from saljax.metrics.similarity import ssim as ssim
from saljax.metrics.truth.funny_birds import FunnyBirds as FunnyBirds
from saljax.metrics.truth.funny_birds import FunnyBirdsScores as FunnyBirdsScores
from saljax.metrics.truth.funny_birds import funny_birds as funny_birds
from saljax.metrics.truth.funny_birds import funny_birds_scores as funny_birds_scores
from saljax.metrics.truth.funny_birds import part_importance as part_importance
from saljax.metrics.truth.funny_birds import target_sensitivity as target_sensitivity
from saljax.metrics.truth.on_part import pointing_on_part as pointing_on_part
from saljax.metrics.truth.on_part import share_on_part as share_on_part
from saljax.ops.boxes import inside_boxes as inside_boxes
