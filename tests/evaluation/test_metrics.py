from diffaug.evaluation.metrics import CORRUPTED, METRICS, TASKS, corruptible, find_metric


def test_names_are_unique_and_what_is_corrupted_has_its_own_metric() -> None:
    assert len({(metric.task, metric.name) for metric in METRICS}) == len(METRICS)
    for task in TASKS:
        for name in corruptible(task):
            on_corrupted = find_metric(task, CORRUPTED + name)
            assert on_corrupted.lower_is_better == find_metric(task, name).lower_is_better
            assert find_metric(task, name).short
