"""Any process is killed at any moment, and in the end all replicas are equal and nothing is lost [SY-8]."""

from __future__ import annotations

import pytest

from tests.faults.campaign import campaigns


@pytest.mark.clause("SY-8", "PR-11", "SG-10")
def test_machines_that_die_at_any_moment_end_with_one_state_and_one_root(tmp_path):
    (campaign,) = campaigns(tmp_path, 1, 1)
    campaign.run(45)
    assert campaign.ended[0] > 10
    assert campaign.ended[-9] > 5
    assert campaign.happened["bad wire"] > 0 < campaign.happened["server died"]
