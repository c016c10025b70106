"""Metrics of clipwise scores."""

from benchmarks.speed.contest import OURS, Contestant, Row

_OURS = "benchmarks.speed.ours.metrics"
_PEERS = "benchmarks.speed.peers.metrics"
TABLE = "Metrics of clipwise scores"

ROWS = (
    Row(
        name="ap-auc",
        title="AP and ROC AUC by tag, 18,000 clips x 527 tags",
        unit="evaluation",
        table=TABLE,
        ours=Contestant("earmark", f"{_OURS}:average_precision_and_roc_auc", 1, OURS),
        peers=(
            Contestant("scikit-learn", f"{_PEERS}:sklearn_ap_auc"),
            Contestant("torchmetrics", f"{_PEERS}:torchmetrics_ap_auc"),
        ),
        aim=20,
        aim_peer="scikit-learn",
        bytes=18_000 * 527 * 5.0,  # scores and truth read once
        tolerance=1e-5,  # torchmetrics computes in float32
    ),
    Row(
        name="lwlrap",
        title="lwlrap, 4,481 clips x 80 tags",
        unit="evaluation",
        table=TABLE,
        ours=Contestant("earmark", f"{_OURS}:lwlrap", 1, OURS),
        peers=(Contestant("a loop over clips, as the competition's code", f"{_PEERS}:lwlrap_by_clip"),),
        aim=35,
        bytes=4_481 * 80 * 5.0,
        tolerance=1e-12,
    ),
    Row(
        name="bootstrap",
        title="mAP of 1,000 resamples, 4,481 clips x 80 tags",
        unit="resample",
        table=TABLE,
        ours=Contestant("earmark", f"{_OURS}:mean_average_precision_bootstrap", 1_000, OURS),
        peers=(Contestant("scikit-learn on drawn rows", f"{_PEERS}:sklearn_mean_average_precision_bootstrap", 4),),
        aim=20,
        tolerance=1e-12,
    ),
)
