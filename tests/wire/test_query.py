"""Queries and pages."""

import pytest
from django.test import Client

THINGS = "/compute/v2.1/things"
NEW = {"X-OpenStack-Nova-API-Version": "2.75"}


def test_query_is_read_with_repeated_keys(client: Client) -> None:
    answer = client.get(f"{THINGS}?name=a&name=b&status=X&status=Y&limit=2", headers=NEW)
    assert answer.json()["query"] == {"name": "b", "status": ["X", "Y"], "limit": 2}


def test_unknown_query_key_is_ignored_or_refused_as_declared(client: Client) -> None:
    assert client.get(f"{THINGS}?nonsense=1").status_code == 200
    refused = client.get(f"{THINGS}?nonsense=1", headers=NEW)
    assert refused.status_code == 400
    assert "('nonsense' was unexpected)" in refused.json()["badRequest"]["message"]


@pytest.mark.parametrize(
    "query", ["limit=-1", "limit=x", "limit=1.5", "limit=99999999999999", "marker=%00", "name=%00"]
)
def test_wrong_query_value_is_400(client: Client, query: str) -> None:
    assert client.get(f"{THINGS}?{query}", headers=NEW).status_code == 400


def test_too_many_query_keys_are_400(client: Client) -> None:
    query = "&".join(f"k{number}=1" for number in range(1_100))
    assert client.get(f"{THINGS}?{query}").status_code == 400


def test_full_page_links_to_the_next_and_keeps_the_query(client: Client) -> None:
    answer = client.get(f"{THINGS}?limit=2&name=a%20b&status=X&status=Y&marker=t9", headers=NEW)
    [link] = answer.json()["things_links"]
    assert link["rel"] == "next"
    assert link["href"] == f"http://testserver{THINGS}?limit=2&name=a+b&status=X&status=Y&marker=t1"


def test_short_page_has_no_next_link(client: Client) -> None:
    assert client.get(f"{THINGS}?limit=9", headers=NEW).json()["things_links"] == []


def test_limit_zero_and_too_large_are_the_largest_page(client: Client) -> None:
    for limit in (0, 5_000):
        assert client.get(f"{THINGS}?limit={limit}", headers=NEW).json()["things_links"] == []


def test_links_have_the_project_when_the_path_has_it(client: Client) -> None:
    root = f"/compute/v2.1/{'a' * 32}"
    answer = client.post(f"{root}/things", {"thing": {"name": "x"}}, "application/json")
    assert [link["href"] for link in answer.json()["thing"]["links"]] == [
        f"http://testserver{root}/things/t1",
        f"http://testserver/compute/{'a' * 32}/things/t1",
    ]


def test_links_follow_the_host_of_the_request(client: Client) -> None:
    answer = client.get(f"{THINGS}?limit=1", headers={**NEW, "Host": "cloud.example:8774"})
    assert answer.json()["things_links"][0]["href"].startswith("http://cloud.example:8774/compute/")
