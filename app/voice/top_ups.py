"""Top-ups, and asking the family for one: an amount anywhere, a verb, and whose card, in any order.

What makes a sentence with a verb and an amount *not* a top-up is here too: somebody else as its subject,
a question without a request, two sums, words that forbid it (see `frames.surroundings`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.voice.cards import Card, card_of
from app.voice.frames import EVERYWHERE, Meaning, Reading, carried, frames, guessed, kinds_of, surroundings
from app.voice.lattice import Edge
from app.voice.meaning import Intent, State
from app.voice.numerals import numerals
from app.voice.paths import Path
from app.voice.settings import settings
from app.voice.words import lexicon

_ASKED_AMOUNT = frozenset({State.AMOUNT, State.CONFIRM})
_VERBS = frozenset({"verb", "verb_only_here"})
_OWNS = frozenset({"of", "card", "this", "ordinal"})
_ALLOWED = frozenset(
    "amount verb verb_only_here into give take card this of money preamble come yes yes_bare ordinal"
    " use pick".split()
)
_BEFORE_SUMS = (_ALLOWED - {"give", "of"}) | {
    "polite", "want", "for_me", "family", "correct", "either", "yes_strong", "balance", "me",
}  # fmt: skip
_GIVEN = frozenset("family card me this ordinal of use want".split())
_HOLDS = frozenset("family card me this ordinal amount of verb verb_only_here into give".split())
# Another wish in the same breath.
_OTHER_WISHES = {
    "balance": Intent.BALANCE,
    "record": Intent.HISTORY,
    "log": Intent.HISTORY,
    "human": Intent.AGENT,
}


def top_up_readings(path: Path) -> Iterator[Reading]:
    """A top-up, asking the family for one, or a bare sum."""
    edges = path.edges
    present = kinds_of(edges)
    sums = _sums(edges)
    asked = _asked_family(edges)
    if asked is not None:
        yield _family(path, sums, asked)
        return
    if present & _VERBS and (sums or _worth_asking(edges)):
        yield _top_up(path, sums)
    if sums and "verb" not in present and not _misheard_no(edges):
        yield _bare(path, sums, corrected="correct" in present)


def _misheard_no(edges: Sequence[Edge]) -> bool:
    """五对 is what a recogniser makes of 不对: a lone digit beside a yes is no sum."""
    alone = any("amount" in edge.kinds and len(edge.text) == 1 for edge in edges)
    return alone and "yes_bare" in kinds_of(edges)


def _sums(edges: Sequence[Edge]) -> list[Edge]:
    """The sums that count: after a correction (五十，不对，一百) only what follows."""
    found: list[Edge] = []
    for at, edge in enumerate(edges):
        if "amount" in edge.kinds:
            found.append(edge)
        elif "correct" in edge.kinds and _amount_follows(edges[at + 1 :]) and _is_correction(edges, at):
            found.clear()
    return found


def _amount_follows(edges: Sequence[Edge]) -> bool:
    return any("amount" in edge.kinds for edge in edges)


def _is_correction(edges: Sequence[Edge], at: int) -> bool:
    """是 and 改 correct only after something to correct; 不是五十 takes away what follows it directly."""
    edge = edges[at]
    if "no" in edge.kinds or len(edge.text) > 1:
        return True
    return any(other.kinds & {"correct", "amount"} for other in edges[:at])


def _negated_sum(edges: Sequence[Edge]) -> Edge | None:
    """不是五十，是十五: the first sum is the wrong one."""
    for before, edge in zip(edges, edges[1:], strict=False):
        if before.text == lexicon().not_that and "amount" in edge.kinds:
            return edge
    return None


def _worth_asking(edges: Sequence[Edge]) -> bool:
    """A top-up without a sum: 充值, 充点钱, 给卡充, 我要充. A lone 充 or 加 says too little."""
    verbs = [edge for edge in edges if "verb" in edge.kinds]
    if not verbs:
        return False
    said = max(edge.end - edge.start for edge in verbs)
    return said > 1 or bool(kinds_of(edges) & {"card", "want", "for_me", "family", "money", "ordinal"})


def _asked_family(edges: Sequence[Edge]) -> int | None:
    """Where somebody of the family is asked to do it (让我女儿帮我充), or None."""
    for at, edge in enumerate(edges):
        if "family" not in edge.kinds:
            continue
        before = _meaningful_before(edges, at, skip=frozenset({"me", "polite"}))
        after = edges[at + 1] if at + 1 < len(edges) else None
        if before is None or after is None or after.kinds & _OWNS:
            continue
        helps = bool(after.kinds & {"for_me", "come", "verb", "polite", "give"})
        if "ask" in before.kinds and not before.kinds & {"give", "for_me"} and helps:
            return at
        if "want" in before.kinds and "for_me" in after.kinds:
            return at
    return None


def _meaningful_before(edges: Sequence[Edge], at: int, skip: frozenset[str]) -> Edge | None:
    for edge in reversed(edges[:at]):
        if not edge.kinds & skip or "ask" in edge.kinds:
            return edge
    return None


def _family(path: Path, sums: Sequence[Edge], asked: int) -> Reading:
    edges = path.edges
    allowed = _ALLOWED | frames().everywhere | {"family", "ask", "can", "tag"}
    around, blocked = surroundings(edges, allowed)
    values = {edge.value for edge in sums}
    meaning = Meaning(
        Intent.ASK_FAMILY,
        amount_fen=sums[0].value if len(values) == 1 else None,
        card_words=edges[asked].text,
        blocked=blocked or ("several" if len(values) > 1 else _past(edges)),
    )
    return _as_reading(path, meaning, path.cost + around, allowed, sums)


def _top_up(path: Path, sums: Sequence[Edge]) -> Reading:
    edges = path.edges
    present = kinds_of(edges)
    card = card_of(edges)
    allowed = _ALLOWED | frames().everywhere | {"family"}
    if "family" in present:
        allowed |= {"ask"}
    request = bool(present & {"for_me"}) or any(lexicon().begs in edge.text for edge in edges)
    if request:
        allowed |= {"can", "tag"}
    if "correct" in present and (sums or all(edge.text != lexicon().not_that for edge in edges)):
        allowed |= {"correct", "no", "neg"} if _negated_sum(edges) or _corrects(edges) else {"correct"}
    values = list(dict.fromkeys(edge.value for edge in sums))
    if len(values) > 1:
        allowed |= {"either"}
    others = sorted({_OTHER_WISHES[kind] for kind in present & _OTHER_WISHES.keys()}) if sums else []
    if others:
        allowed |= {*_OTHER_WISHES, "query", "left", "how_much", "reach"}
    around, blocked = surroundings([edge for at, edge in enumerate(edges) if at not in card.edges], allowed)
    blocked = blocked or _past(edges) or _somebody_else(edges, card) or _other_purpose(edges)
    blocked = blocked or _no_after_sum(edges)
    cost = path.cost + around - card.rebate
    if "verb" not in present and not (card.words or present & {"card", "for_me", "ordinal"}):
        cost += settings().weak_verb
    if not sums:
        cost += settings().no_sum
    cost += settings().stray * _strays(edges, card)
    meaning = Meaning(Intent.TOP_UP, values[0] if len(values) == 1 else None, card.index, card.words, blocked)
    offers = [Meaning(Intent.TOP_UP, value, card.index, card.words) for value in values]
    offers += [Meaning(intent) for intent in others]
    return _as_reading(path, meaning, cost, allowed, sums, tuple(offers) if len(offers) > 1 else ())


def _strays(edges: Sequence[Edge], card: Card) -> int:
    """How many 给 and 里 hang in the air."""
    count = 0
    padded = [None, *edges, None]
    for at, (before, edge, after) in enumerate(zip(padded, edges, padded[2:], strict=False)):
        if edge.kinds & {"give"} and not edge.kinds & {"polite", "want"}:
            count += not (at + 1 in card.edges or (after and after.kinds & _GIVEN))
        elif "into" in edge.kinds and not edge.kinds & _VERBS:
            count += not (before and before.kinds & _HOLDS)
    return count


def _corrects(edges: Sequence[Edge]) -> bool:
    return any("correct" in edge.kinds and "no" in edge.kinds for edge in edges)


def _bare(path: Path, sums: Sequence[Edge], corrected: bool) -> Reading:
    """A sum alone is a wish only where it was asked for, or where it corrects one."""
    edges = path.edges
    allowed = _ALLOWED | frames().everywhere | {"correct", "no", "neg" if _negated_sum(edges) else "no"}
    negated = _negated_sum(edges)
    counted = [edge for edge in sums if edge is not negated]
    values = list(dict.fromkeys(edge.value for edge in counted))
    if len(values) > 1:
        allowed |= {"either"}
    around, blocked = surroundings(edges, allowed)
    blocked = blocked or _no_after_sum(edges)
    if around and not blocked:
        blocked = "unlicensed"  # 我有两百块: any other known word makes it talk about money
    meaning = Meaning(Intent.TOP_UP, values[0] if len(values) == 1 else None, blocked=blocked)
    offers = tuple(Meaning(Intent.TOP_UP, value) for value in values) if len(values) > 1 else ()
    where = _ASKED_AMOUNT | {State.ANY} if corrected and _corrects(edges) else _ASKED_AMOUNT
    return _as_reading(path, meaning, path.cost + around, allowed, counted, offers, where)


def _no_after_sum(edges: Sequence[Edge]) -> str | None:
    """五十，不要 and 一百不对 take the sum back; 不对，一百 corrects what came before it."""
    last = max((at for at, edge in enumerate(edges) if "amount" in edge.kinds), default=len(edges))
    return next((f"no:{edge.text}" for edge in edges[last + 1 :] if edge.kinds & {"no", "neg"}), None)


def _other_purpose(edges: Sequence[Edge]) -> str | None:
    """充到两百 names where to stop, not how much to add; 一百块钱的烟 is what is being paid for."""
    for before, edge, after in zip(edges, edges[1:], [*edges[2:], None], strict=False):
        if "amount" in edge.kinds and before.text.endswith("到"):
            return "target"
        if "amount" in before.kinds and "of" in edge.kinds and after is not None:
            if not after.kinds & (_OWNS | {"polite"}):
                return "purpose"
    return None


def _past(edges: Sequence[Edge]) -> str | None:
    """充了五十 tells of the past; 充五十了 may. 好了 and 没钱了 do not."""
    for at, edge in enumerate(edges):
        if "done" not in edge.kinds or "polite" in edge.kinds:
            continue
        before = edges[at - 1] if at else None
        if before is not None and before.kinds & (_VERBS | {"amount"}):
            return f"done:{edge.text}"
    return None


def _somebody_else(edges: Sequence[Edge], card: Card) -> str | None:
    """老伴充五十 or 我儿子给我充一百: the family is the subject, and what they do is no wish."""
    for at, edge in enumerate(edges):
        if "family" not in edge.kinds or at in card.edges:
            continue
        after = edges[at + 1] if at + 1 < len(edges) else None
        if after is not None and after.kinds & _OWNS:
            continue
        before = _meaningful_before(edges, at, skip=frozenset({"me", "polite"}))
        if before is None or not before.kinds & {"give", "for_me", "into", "verb"}:
            return f"subject:{edge.text}"
    return None


def _as_reading(
    path: Path,
    meaning: Meaning,
    cost: float,
    allowed: frozenset[str],
    sums: Sequence[Edge],
    offers: tuple[Meaning, ...] = (),
    where: frozenset[State] = EVERYWHERE,
) -> Reading:
    return Reading(
        meaning,
        cost=cost,
        size=carried(path.edges, allowed),
        where=where,
        offers=offers,
        worst=max([_helper_unheard(path.edges), *(_doubt(path.edges, edge) for edge in sums)]),
        guessed=guessed(sums),
        sound=sum(edge.sound for edge in path.edges),
        lone_digit=any(len(edge.text) == 1 for edge in sums),
    )


def _helper_unheard(edges: Sequence[Edge]) -> float:
    """Something nobody understood before 帮我 may be the one who was asked for help: 1, else 0."""
    helper = next((at for at, edge in enumerate(edges) if "for_me" in edge.kinds), 0)
    return 1.0 if any("unknown" in edge.kinds for edge in edges[:helper]) else 0.0


def _doubt(edges: Sequence[Edge], total: Edge) -> float:
    """The least sure syllable of a sum. What nobody can explain right before it may belong to it."""
    worst = total.worst * (1.0 if total.with_unit else settings().no_unit_factor)
    at = edges.index(total)
    before = edges[at - 1] if at else None
    if before is None:
        return worst
    # 充四十 heard as 充些十: a verb that was guessed may have swallowed the first numeral. No numeral of one
    # syllable can stand before a digit, so 通价二十 for 充值二十 has lost none.
    swallows = total.text[0] in numerals().units
    if "verb" in before.kinds:
        return 1.0 if swallows and before.sound > settings().surest_verb else worst
    unsure = before.sound > 0 and before.end - before.start == 1
    if unsure and before.kinds & _VERBS:
        # 往公交卡里打五十: what stands between the card and the sum is the verb
        unsure = swallows and "card" not in kinds_of(edges)
    return 1.0 if unsure or not before.kinds & _BEFORE_SUMS else worst
