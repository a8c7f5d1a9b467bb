"""The command line of runs and their results: preset, use, verdict, compare, study, tune."""

import argparse
from pathlib import Path


def add(commands: argparse._SubParsersAction) -> None:
    """Add these commands."""
    _add_preset(commands)
    _add_use(commands)
    _add_verdict(commands)
    _add_compare(commands)
    study = commands.add_parser(
        "study", help="run every entry of params.yaml's study as an experiment, and compare them"
    )
    study.set_defaults(run=_study)
    _add_tune(commands)


def _add_preset(commands: argparse._SubParsersAction) -> None:
    preset = commands.add_parser(
        "preset", help="run the pipeline with a preset, apart from params.yaml and its results"
    )
    preset.add_argument("preset", help="the name of a file in presets/, such as quick, or a path")
    preset.add_argument("stage", nargs="?", help="run only this stage and those before it, such as train_gen")
    preset.set_defaults(run=_preset)


def _preset(arguments: argparse.Namespace) -> None:
    from diffaug.commands.preset import run_preset

    print(run_preset(arguments.preset, arguments.stage))


def _add_use(commands: argparse._SubParsersAction) -> None:
    use = commands.add_parser("use", help="put a preset into params.yaml, such as presets/bccd.yaml")
    use.add_argument("preset", type=Path, help="a YAML file with the values to change in params.yaml")
    use.add_argument("assignments", nargs="*", metavar="KEY=VALUE", help="such as train_det.steps=200")
    use.set_defaults(run=_use)


def _use(arguments: argparse.Namespace) -> None:
    from diffaug.commands.use import use_preset

    changed = use_preset(arguments.preset, arguments.assignments)
    print(f"params.yaml: {len(changed)} changes: {', '.join(changed)}")


def _add_verdict(commands: argparse._SubParsersAction) -> None:
    verdict = commands.add_parser("verdict", help="print the verdict's table again")
    verdict.add_argument("--times", action="store_true", help="and the seconds and the memory of each stage")
    verdict.set_defaults(run=_verdict)


def _verdict(arguments: argparse.Namespace) -> None:
    from diffaug.report.verdict import read_details, verdict_table

    print(verdict_table(read_details()))
    if arguments.times:
        from diffaug.report.times import times_table

        print(f"\n{times_table()}")


def _add_compare(commands: argparse._SubParsersAction) -> None:
    compare = commands.add_parser(
        "compare",
        help="compare the predictions of any two models, of any trainer: is the difference more than chance?",
        description="A and B are each a file, a folder of files, or a pattern in quotes such as 'a-*/results.json': "
        "one file per training. Detection: COCO results (.json) and --truth. Classification: tables (.csv, .parquet) "
        "with a column id, a column per class, and label or --truth. Needs no params.yaml.",
    )
    for side in ("a", "b"):
        compare.add_argument(side, metavar=side.upper(), help=f"the predictions of {side.upper()}")
    compare.add_argument("--truth", type=Path, help="COCO ground truth, or a table with the columns id and label")
    compare.add_argument("--names", type=Path, help="class names, one a line, where tables number their classes from 0")
    compare.add_argument("--out", type=Path, metavar="FOLDER", help="write table, plots and numbers into this folder")
    compare.add_argument("--confidence", type=float, default=0.95, help="of the intervals (default: 0.95)")
    compare.add_argument("--resamples", type=int, default=1000, help="of the test images (default: 1000)")
    compare.add_argument("--seed", type=int, default=0, help="of the resamples (default: 0)")
    compare.set_defaults(run=_compare)


def _compare(arguments: argparse.Namespace) -> None:
    from diffaug.commands.compare import Options, compare

    settings = (arguments.confidence, arguments.resamples, arguments.seed)
    options = Options(arguments.truth, arguments.names, *settings)
    print(compare(arguments.a, arguments.b, options, arguments.out))


def _study(arguments: argparse.Namespace) -> None:
    from diffaug.commands.study import study
    from diffaug.params import load_params

    print(study(load_params()))


def _add_tune(commands: argparse._SubParsersAction) -> None:
    tune = commands.add_parser(
        "tune", help="train with a grid of settings, choose by real val, and measure the best one alone on test"
    )
    tune.add_argument("axes", nargs="+", metavar="KEY=VALUE,VALUE", help="such as merge.ratio=0.5,1,2,4")
    tune.add_argument("--task", choices=("cls", "det"), help="whose val decides (default: cls if it has images)")
    tune.set_defaults(run=_tune)


def _tune(arguments: argparse.Namespace) -> None:
    from diffaug.commands.tune import tune
    from diffaug.params import load_params

    print(tune(load_params(), arguments.axes, arguments.task))
