"""The metrics and the tasks in one table: for the verdict, the report, the cards, the study and the plots."""

from dataclasses import dataclass

ARMS = ("real", "merged")
CLEAN, ALL = "clean", "all"  # among corruptions: none, and the average over all
CORRUPTED = "corrupted_"  # prefix of the names of metrics on corrupted images


@dataclass(frozen=True)
class Metric:
    """A metric in 0-1 of one task ("cls" or "det"), by its name in details.json.

    title: in the verdict; a metric without a title has no line there; short: in wide tables; tested: whether it can get
    a verdict; corrupted: whether it is computed on corrupted images too. The primary metrics are named in the params;
    the other tested ones of a task are tested behind its primary one, in this order.
    """

    task: str
    name: str
    title: str = ""
    short: str = ""
    tested: bool = True
    lower_is_better: bool = False
    corrupted: bool = False


METRICS = (
    Metric("cls", "accuracy", "classifier accuracy", "accuracy", corrupted=True),
    Metric("cls", "macro_f1", "classifier macro F1", "macro F1"),
    Metric("cls", f"{CORRUPTED}accuracy", "classifier accuracy, corrupted"),
    Metric(
        *("cls", "ece_scaled", "classifier ECE, scaled (lower is better)", "ECE, scaled (lower is better),"),
        lower_is_better=True,
        corrupted=True,
    ),
    # A smaller ECE before scaling mostly means a less confident model, which also wrong labels give.
    Metric("cls", "ece", "classifier ECE, raw (lower is better)", tested=False, lower_is_better=True),
    Metric("cls", "mean_confidence"),
    Metric("cls", f"{CORRUPTED}ece_scaled", lower_is_better=True),
    Metric("det", "mAP50_95", "detector mAP50-95", "mAP50-95", corrupted=True),
    Metric("det", "mAP50", "detector mAP50", "mAP50"),
    Metric("det", f"{CORRUPTED}mAP50_95", "detector mAP50-95, corrupted"),
)


@dataclass(frozen=True)
class Task:
    """What the tables and the report need to know about a task.

    val: the column of a training curve by which the checkpoint is chosen, and its title; per_class: the table of single
    classes; hub: the task's name on the Hugging Face hub; library: of its models.
    """

    title: str
    val: str
    val_title: str
    per_class: str
    hub: str
    library: str


TASKS = {
    "cls": Task(
        *("The classifier", "val_accuracy", "accuracy on real val", "cls_per_class_accuracy.csv"),
        *("image-classification", "torchvision"),
    ),
    "det": Task(
        *("The detector", "val_mAP50_95", "mAP50-95 on real val", "det_per_class_mAP50_95.csv"),
        *("object-detection", "ultralytics"),
    ),
}


def find_metric(task: str, name: str) -> Metric:
    """The metric of this name."""
    return next(metric for metric in METRICS if (metric.task, metric.name) == (task, name))


def corruptible(task: str) -> list[str]:
    """The names of the metrics that are computed on corrupted images."""
    return [metric.name for metric in METRICS if metric.task == task and metric.corrupted]
