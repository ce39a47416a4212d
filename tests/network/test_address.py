"""Addresses: printed ones parse to the same address, and for invalid ones the error shows the form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featmap.errors import AddressSyntaxError
from featmap.network.address import STAGES, Address

FORM = "An address is LAYER, LAYER#n, LAYER:STAGE, LAYER:STAGE/CHANNEL or LAYER:STAGE/CHANNEL@ROW,COLUMN."

numbers = st.integers(0, 10**6)
# A module's name may hold anything but a dot.
plain = st.from_regex(r"[A-Za-z0-9_]+", fullmatch=True)
odd = st.text(
    st.characters(exclude_characters=".", exclude_categories=["Cs"]) | st.sampled_from("%#:/@ \t"), min_size=1
)
paths = st.lists(plain | odd, min_size=1, max_size=5).map(".".join)


@st.composite
def addresses(draw: st.DrawFn) -> Address:
    channel = draw(st.none() | numbers)
    unit = None if channel is None else draw(st.none() | st.tuples(numbers, numbers))
    call = draw(st.none() | st.integers(1, 99))
    return Address(draw(paths), call, draw(st.sampled_from([None, *STAGES])), channel, unit)


@given(addresses())
def test_what_is_printed_is_read_back(address: Address) -> None:
    assert Address.parse(str(address)) == address
    assert Address.parse(f"  {address} ") == address
    assert Address.parse(address) is address


@given(addresses())
def test_the_address_of_the_layer_has_neither_channel_nor_unit(address: Address) -> None:
    layer = address.of_layer
    assert (layer.layer, layer.call, layer.stage) == (address.layer, address.call, address.stage)
    assert layer.channel is None
    assert layer.unit is None


UNITS = "write @ROW,COLUMN, @POSITION in a signal, @PLANE,ROW,COLUMN in a volume."


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("features.21", Address("features.21")),
        ("layer1.0.relu#2", Address("layer1.0.relu", 2)),
        ("features.21:z", Address("features.21", stage="z")),
        ("features.21:a/117", Address("features.21", stage="a", channel=117)),
        ("features.21:a/117@10,12", Address("features.21", stage="a", channel=117, unit=(10, 12))),
        ("features.21/117@10, 12", Address("features.21", channel=117, unit=(10, 12))),
        ("heads.3 x 3:z", Address("heads.3 x 3", stage="z")),
        ("heads.3%20x%203#2:z/1", Address("heads.3 x 3", 2, "z", 1)),
        ("heads.a%3Ab%2Fc%40d%23e%25f:z", Address("heads.a:b/c@d#e%f", stage="z")),
        ("Mixed_5b.branch1x1.relu#3:conv/0@0,0", Address("Mixed_5b.branch1x1.relu", 3, "conv", 0, (0, 0))),
    ],
)
def test_the_forms_of_the_design(text: str, address: Address) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'' is not a valid address."),
        ("#2", "'#2' is not a valid address."),
        ("relu#two", "'relu#two' is not a valid address."),
        ("relu#-1", "'relu#-1' is not a valid address."),
        ("relu#0", "'relu#0': calls are counted from 1, got #0."),
        ("relu:b", "'relu:b': 'b' is not a stage; the stages are conv, z and a."),
        ("relu:", "'relu:': '' is not a stage; the stages are conv, z and a."),
        ("relu/x", "'relu/x': 'x' is not a channel number (0, 1, 2 ...)."),
        ("relu/-1", "'relu/-1': '-1' is not a channel number (0, 1, 2 ...)."),
        ("relu/", "'relu/': '' is not a channel number (0, 1, 2 ...)."),
        ("relu@1,2", "'relu@1,2' names a unit but no channel."),
        ("relu/1@2,3,4,5", "'relu/1@2,3,4,5': '@2,3,4,5' is not a unit; " + UNITS),
        ("relu/1@", "'relu/1@': '@' is not a unit; " + UNITS),
        ("relu/1@x,3", "'relu/1@x,3': 'x' is not a row number (0, 1, 2 ...)."),
        ("relu/1@2,", "'relu/1@2,': '@2,' is not a unit; " + UNITS),
    ],
)
def test_what_is_no_address_is_refused_with_the_form(text: str, problem: str) -> None:
    with pytest.raises(AddressSyntaxError) as caught:
        Address.parse(text)
    assert str(caught.value) == f"{problem}\n\n{FORM}"
    assert caught.value.exit_code == 2
