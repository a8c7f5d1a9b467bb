from diffaug.evaluation.metrics import CORRUPTED, METRICS, TASKS, corruptible, find_metric, headline


def test_every_task_has_one_headline_and_what_is_corrupted_has_its_own_metric() -> None:
    assert len({(metric.task, metric.name) for metric in METRICS}) == len(METRICS)
    for task in TASKS:
        assert sum(metric.headline for metric in METRICS if metric.task == task) == 1
        for name in corruptible(task):
            on_corrupted = find_metric(task, CORRUPTED + name)
            assert on_corrupted.lower_is_better == find_metric(task, name).lower_is_better
            assert find_metric(task, name).short
    assert (headline("cls").name, headline("det").name) == ("accuracy", "mAP50_95")
