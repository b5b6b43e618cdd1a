from pipeline.evaluation.main_score import main_score

RESULT = {
    "video": {"top1": 0.1},
    "videos": {"accuracy": 0.2, "mean_average_precision": 0.3},
    "frames": {"accuracy": 0.4, "mean_average_precision": None},
}


def test_each_task_has_its_main_score():
    tasks = ("video", "video-multilabel", "frames", "frames-multilabel")
    assert [main_score(task).of(RESULT) for task in tasks] == [0.1, 0.3, 0.4, None]
    assert main_score("video").text(0.12345) == "top-1 0.123"
    assert main_score("frames-multilabel").text(None) == "mean average precision –"
