"""What a provider tells outside its list of pages is shown: boxes, graphs, tables, answers, lists of any nesting."""

import pytest
from searching import searched

OK = {"search_metadata": {"status": "Success"}}
GRAPH = {
    "title": "Ines Park",
    "kgmid": "/m/0x",
    "type": "Botanist",
    "description": "Ines Park was a botanist born in Dunmore.",
    "born": "1933, Dunmore",
    "born_links": [{"text": "Dunmore", "link": "https://a.example"}],
    "image": "https://a.example/i.png",
}
SHOWN_GRAPH = "Ines Park: Ines Park was a botanist born in Dunmore. born: 1933, Dunmore"
PAGE = {"title": "Ines Park - Lives", "link": "https://a.example", "snippet": "A botanist."}


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        ({"knowledge_graph": GRAPH, "organic_results": []}, [SHOWN_GRAPH]),
        ({"knowledge_graph": GRAPH, "organic_results": [PAGE]}, ["A botanist.", SHOWN_GRAPH]),  # FireAct's order first
        ({"answer_box": [{"answer": "Dunmore", "snippet": "She was born in Dunmore."}]}, ["Dunmore"]),
        ({"answer_box": {"answer": ["Dunmore", "Brimhaven"]}}, ["Dunmore, Brimhaven"]),
        ({"answer_box": {"type": "calculator_result", "result": "42"}}, ["42"]),
        ({"answer_box": {"type": "calculator_result", "result": 42.5}}, ["42.5"]),
        (
            {"answer_box": {"type": "organic_result", "title": "Places", "list": ["Dunmore", "Brimhaven"]}},
            ["Dunmore, Brimhaven"],
        ),
        (
            {"answer_box": {"type": "weather_result", "temperature": "83", "weather": "Clear", "thumbnail": "u"}},
            ["temperature: 83; weather: Clear"],
        ),
        ({"answer_box_list": [{"snippet": "Born in Dunmore."}]}, ["Born in Dunmore."]),
        ({"answer_box": None, "knowledge_graph": None, "organic_results": [PAGE]}, ["A botanist."]),
        (
            {
                "sports_results": {
                    "title": "Dunmore FC",
                    "rankings": "1st",
                    "game_spotlight": {"teams": [{"name": "Dunmore", "score": "2"}, {"name": "Orr", "score": "0"}]},
                }
            },
            ["Dunmore FC: rankings: 1st; game spotlight: teams: name: Dunmore; score: 2, name: Orr; score: 0"],
        ),
        ({"organic_results": [{"title": "t", "snippet_highlighted_words": ["Dunmore", "1933"]}]}, ["Dunmore, 1933"]),
        (
            {"organic_results": [{"title": "t", "rich_snippet": {"top": {"extensions": ["Born 1933 in Dunmore"]}}}]},
            ["top: extensions: Born 1933 in Dunmore"],
        ),
        ({"organic_results": [{"title": "Ines Park, of Dunmore"}]}, ["Ines Park, of Dunmore"]),
        (
            {"related_questions": [{"question": "Where was she born?", "snippet": "In Dunmore.", "link": "u"}]},
            ["Where was she born?: In Dunmore."],
        ),
        (
            {"top_stories": [{"title": "Park turns 90", "source": "x", "date": "1 day ago"}]},
            ["title: Park turns 90; date: 1 day ago"],
        ),
        ({"ai_overview": {"text_blocks": [{"snippet": "In Dunmore."}]}}, ["text blocks: snippet: In Dunmore."]),
        ({"local_results": {"places": [{"title": "Dunmore Hall"}]}}, ["places: title: Dunmore Hall"]),
        ({"questions_and_answers": [{"question": "Born where?", "answer": "Dunmore"}]}, ["Born where?: Dunmore"]),
        *(
            ({name: [{"title": "Ines Park", "snippet": "In Dunmore."}]}, ["Ines Park: In Dunmore."])
            for name in ("news_results", "events_results", "discussions_and_forums")
        ),
        # told beside proper results, by mistake
        ({"error": "Google hasn't returned any results for this query.", "organic_results": [PAGE]}, ["A botanist."]),
    ],
)
async def test_serpapi(reply, shown):
    assert (await searched("serpapi", {**OK, **reply})).texts == shown


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (
            {"knowledgeGraph": {"title": "Ines Park", "type": "Botanist", "attributes": {"Born": "1933, Dunmore"}}},
            ["Ines Park: Botanist; Born: 1933, Dunmore"],
        ),
        ({"answerBox": {"snippetHighlighted": ["Dunmore", "1933"], "title": "x", "link": "y"}}, ["Dunmore, 1933"]),
        ({"answerBox": {"answer": None, "snippet": "In Dunmore.", "snippetHighlighted": ["D"]}}, ["In Dunmore."]),
        ({"organic": [{"title": "Ines Park", "attributes": {"Born": "Dunmore"}}]}, ["Ines Park: Born: Dunmore"]),
        (
            {"organic": [], "peopleAlsoAsk": [{"question": "Where was she born?", "snippet": "In Dunmore."}]},
            ["Where was she born?: In Dunmore."],
        ),
        (
            {"organic": [PAGE], "topStories": [{"title": "Park turns 90", "source": "The Orr Post"}]},
            ["Ines Park - Lives: A botanist.", "The Orr Post: Park turns 90"],
        ),
        ({"organic": [{"title": "Ines Park, of Dunmore", "link": "u"}]}, ["Ines Park, of Dunmore"]),
    ],
)
async def test_serper(reply, shown):
    assert (await searched("serper", reply)).texts == shown


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        ({"answer": "Dunmore", "results": []}, ["Dunmore"]),
        ({"answer": "Dunmore", "results": [{"title": "t", "content": "c"}]}, ["Dunmore", "t: c"]),
        ({"answer": None, "results": [{"title": "t", "content": None, "raw_content": "Dunmore."}]}, ["t: Dunmore."]),
    ],
)
async def test_tavily(reply, shown):
    assert (await searched("tavily", reply)).texts == shown


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (
            {
                "infobox": {"results": [{"title": "Ines Park", "description": "botanist born in Dunmore"}]},
                "web": {"results": []},
            },
            ["Ines Park: botanist born in Dunmore"],
        ),
        (
            {
                "infobox": {
                    "results": {
                        "title": "Ines Park",
                        "long_desc": "A <b>botanist</b>.",
                        "attributes": [["Born", "1933"]],
                    }
                }
            },
            ["Ines Park: A botanist. Born: 1933"],
        ),
        (
            {"faq": {"results": [{"question": "Born where?", "answer": "Dunmore"}]}, "web": None},
            ["Born where?: Dunmore"],
        ),
        ({"news": {"results": [{"title": "Park", "description": "Turns 90."}]}}, ["Park: Turns 90."]),
        ({"web": {"results": [{"title": "Ines Park, of Dunmore"}]}}, ["Ines Park, of Dunmore"]),
    ],
)
async def test_brave(reply, shown):
    assert (await searched("brave", {"type": "search", "query": {"original": "x"}, **reply})).texts == shown


PAGE_OF_WIKI = {"pageid": 7, "title": "Lake Tarn", "index": 1, "extract": "It is 410 m deep."}


async def test_wikipedia_pages_as_an_object_by_id():
    assert (await searched("wikipedia", {"query": {"pages": {"7": PAGE_OF_WIKI}}})).texts == [
        "Lake Tarn: It is 410 m deep."
    ]


async def test_a_page_with_an_empty_introduction_is_its_title():
    page = {**PAGE_OF_WIKI, "extract": ""}
    assert (await searched("wikipedia", {"query": {"pages": [page]}})).texts == ["Lake Tarn"]


async def test_wikipedia_is_asked_no_longer_a_query_than_it_takes():
    searching = await searched("wikipedia", {"batchcomplete": True}, query="tarn " * 90)
    assert len(searching.asked[0]["query"]["gsrsearch"]) == 300


DOCUMENT = {"id": "1", "contents": '"Lake Tarn"\nIt is 410 m deep.'}
SHOWN = ["Lake Tarn: It is 410 m deep."]


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        ({"result": [[{"document": DOCUMENT, "score": 1}]]}, SHOWN),
        ({"results": [[{"document": DOCUMENT, "score": 1}]]}, SHOWN),
        ({"result": [{"document": DOCUMENT, "score": 1}]}, SHOWN),
        ({"result": [[DOCUMENT]]}, SHOWN),
        ([[{"document": DOCUMENT, "score": 1}]], SHOWN),
        ([DOCUMENT], SHOWN),
        ({"result": [["It is 410 m deep.", "Orr has lakes."]]}, ["It is 410 m deep.", "Orr has lakes."]),
        ({"result": ["It is 410 m deep."]}, ["It is 410 m deep."]),
        ({"result": [[["It is 410 m deep.", 0.9], ["Orr has lakes.", 0.1]]]}, ["It is 410 m deep.", "Orr has lakes."]),
        ({"result": [[{"document": {"content": "It is 410 m deep."}, "score": 1}]]}, ["It is 410 m deep."]),
        ({"result": [[{"document": {"title": "Lake Tarn", "text": "It is 410 m deep."}}]]}, SHOWN),
        ({"result": [[{"document": "It is 410 m deep.", "score": 1}]]}, ["It is 410 m deep."]),
        (
            {"topk": [{"pid": 3, "rank": 1, "score": 20.1, "text": "Lake Tarn | It is deep.", "prob": 0.9}]},
            ["Lake Tarn | It is deep."],
        ),
        ({"documents": [["It is 410 m deep."]], "ids": [["1"]], "distances": [[0.2]]}, ["It is 410 m deep."]),
        ({"documents": [{"page_content": "It is 410 m deep.", "metadata": {"title": "Lake Tarn"}}]}, SHOWN),
        (
            {
                "hits": {
                    "total": 1,
                    "hits": [{"_score": 3.5, "_source": {"title": "Lake Tarn", "text": "It is 410 m deep."}}],
                }
            },
            SHOWN,
        ),
        ({"result": {"documents": [{"text": "It is 410 m deep.", "title": None}]}}, ["It is 410 m deep."]),
        ({"result": None, "results": [DOCUMENT]}, SHOWN),
        (
            {"result": [[{"title": "Lake Tarn", "text": "It is deep.\nAnd cold.", "score": None}]]},
            ["Lake Tarn: It is deep.\nAnd cold."],
        ),
    ],
)
async def test_retrieve(reply, shown):
    assert (await searched("retrieve", reply)).texts == shown


@pytest.mark.parametrize("name", ["docs", "passages", "hits", "retrieved_documents", "data"])
async def test_a_retrieval_servers_list_goes_by_many_names(name):
    assert (await searched("retrieve", {name: [{"doc": DOCUMENT}]})).texts == SHOWN


@pytest.mark.parametrize("name", ["contents", "content", "text", "passage", "body", "snippet", "long_text"])
async def test_a_documents_text_goes_by_many_names(name):
    assert (await searched("retrieve", {"result": [{"title": "Lake Tarn", name: "It is 410 m deep."}]})).texts == SHOWN


async def test_a_retrieval_servers_scores_are_kept():
    reply = {
        "result": [
            [{"document": DOCUMENT, "score": 0.9}, ["Orr has lakes.", 0.4], {"_source": {"text": "t"}, "_score": 0.1}]
        ]
    }
    assert [hit.score for hit in (await searched("retrieve", reply)).found] == [0.9, 0.4, 0.1]


async def test_a_list_nested_beyond_reason_is_read_or_refused_and_never_crashes():
    deep: object = "It is 410 m deep."
    for _ in range(300):
        deep = [deep]
    assert (await searched("retrieve", {"result": deep})).texts == ["It is 410 m deep."]
