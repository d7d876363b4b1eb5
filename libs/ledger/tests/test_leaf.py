"""A leaf commits to details and tells nothing of them; there is one text for one value."""

import json
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yijian_ledger.canonical import NotCanonicalError, canonical_json
from yijian_ledger.leaf import Leaf, LeafError, LeafKind, make_leaf, new_salt, opens, read_leaf

DETAILS = {"purpose": "出生登记", "fields": ["母亲姓名"], "child": 1, "none": None}


def test_a_leaf_says_no_more_than_that_something_was_committed_to():
    leaf_id, salt = uuid4(), new_salt()
    leaf = make_leaf(leaf_id, LeafKind.DISCLOSURE, DETAILS, salt=salt)
    content = read_leaf(leaf.data)
    assert (content.id, content.kind) == (leaf_id, LeafKind.DISCLOSURE)
    assert opens(content, dict(reversed(DETAILS.items())), salt=salt)
    assert leaf.data.isascii()
    assert sorted(json.loads(leaf.data)) == ["commitment", "id", "kind", "v"]


def test_without_the_salt_the_same_details_cannot_be_tried():
    one, other = (make_leaf(uuid4(), LeafKind.DISCLOSURE, DETAILS, salt=new_salt()) for _ in range(2))
    assert read_leaf(one.data).commitment != read_leaf(other.data).commitment
    assert not opens(read_leaf(one.data), DETAILS, salt=b"")
    assert not opens(read_leaf(one.data), DETAILS, salt=bytes(32))


@pytest.mark.parametrize(
    "change", [lambda d: d + b" ", lambda d: d[:0], lambda d: d.replace(b"disclosure", b"else"), lambda d: d[:-1]]
)
def test_what_is_not_written_as_a_leaf_is_none(change: Any):
    leaf = make_leaf(uuid4(), LeafKind.DISCLOSURE, DETAILS, salt=new_salt())
    with pytest.raises(LeafError):
        read_leaf(change(leaf.data))


def test_a_leaf_in_another_order_or_with_more_is_none():
    for data in (b'{"v":1,"kind":"disclosure","id":"x","commitment":""}', b"[]", b"null", b'{"id":1}'):
        with pytest.raises(LeafError):
            read_leaf(data)
    leaf: Leaf = make_leaf(uuid4(), LeafKind.ERASURE, {}, salt=new_salt())
    upper = leaf.data.replace(str(leaf.id).encode(), str(leaf.id).upper().encode())
    with pytest.raises(LeafError):
        read_leaf(upper)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=10,
)


@given(VALUES)
def test_one_value_has_one_text(value: Any):
    text = canonical_json(value)
    assert canonical_json(json.loads(text)) == text
    assert text == json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def test_the_text_is_that_of_rfc_8785():
    """Its §3.2.2 and §3.2.3, without the fractions."""
    string = '"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/"'
    told = json.loads('{"string":' + string + ',"literals":[null,true,false],"\\r":"CR","1":"One"}')
    wanted = '{"\\r":"CR","1":"One","literals":[null,true,false],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    assert canonical_json(told) == wanted.encode()
    assert canonical_json("\b\t\n\f\r\x00\x1f\x7f\u2028😀") == '"\\b\\t\\n\\f\\r\\u0000\\u001f\x7f\u2028😀"'.encode()
    assert canonical_json({"ö": 1, "z": 2, "é": 3, "": 4}) == '{"":4,"z":2,"é":3,"ö":1}'.encode()


@pytest.mark.parametrize(
    "value",
    [1.5, float("nan"), 2**53, {1: 2}, b"bytes", object(), "\ud800", [{"a": 0.1}], LeafKind.ERASURE, {"a": {1}}],
)
def test_what_has_no_one_text_is_refused(value: Any):
    with pytest.raises(NotCanonicalError):
        canonical_json(value)
