"""What every page owes an elder, measured in the browser (PRODUCT.md "Screens").

axe-core runs with its WCAG A, AA, AAA and best-practice rules; the AAA rules ask for a contrast of 7:1.
Sizes are CSS pixels: 80 px is 1.5 cm² or more on every phone in use (12.25 mm is 65 to 79 px there),
and 96 px is 15 mm.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "miniprogram" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag2aaa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDTHS = (320, 360, 390, 430)

_MEASURE = """
() => {
  const faults = []
  const shown = (e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== 'hidden'
  const name = (e) => e.getAttribute('aria-label') || e.textContent.trim().slice(0, 20)
  const buttons = [...document.querySelectorAll('[role=button]')].filter(shown)
  const boxes = buttons.map((e) => ({ e, r: e.getBoundingClientRect() }))
  for (const { e, r } of boxes) {
    const floor = e.matches('.btn') && !e.matches('.btn-small') ? 96 : 80
    if (Math.min(r.width, r.height) < 80 || r.height < floor) {
      faults.push(`target ${name(e)} is ${r.width}x${r.height}`)
    }
  }
  boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => {
    const across = Math.max(a.r.left - b.r.right, b.r.left - a.r.right)
    const down = Math.max(a.r.top - b.r.bottom, b.r.top - a.r.bottom)
    if (Math.max(across, down) < 15.5) faults.push(`${name(a.e)} and ${name(b.e)} are too close`)
  }))
  let smallest = 999, tightest = 9
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement
    if (!walk.currentNode.textContent.trim() || !shown(e) || e.closest('script,style')) continue
    const style = getComputedStyle(e), size = parseFloat(style.fontSize)
    const words = walk.currentNode.textContent.trim().slice(0, 20)
    const spacing = parseFloat(style.lineHeight) / size
    smallest = Math.min(smallest, size)
    tightest = Math.min(tightest, spacing)
    if (size < 18) faults.push(`text ${size}px: ${words}`)
    if (!(spacing >= 1.295)) faults.push(`lines ${style.lineHeight}/${size}: ${words}`)
  }
  for (const e of document.querySelectorAll('*')) {
    if (shown(e) && ['fixed', 'sticky'].includes(getComputedStyle(e).position)) {
      faults.push('a fixed layer: ' + e.tagName + '.' + e.className)
    }
  }
  if ([...document.querySelectorAll('[role=heading][aria-level="1"]')].filter(shown).length !== 1) {
    faults.push('not exactly one question on the page')
  }
  if (!buttons.some((e) => /找人工|打电话/.test(name(e)))) faults.push('no way to a person')
  const sides = boxes.map(({ r }) => Math.min(r.width, r.height))
  return { faults, smallest, tightest, target: Math.min(...sides), buttons: boxes.length }
}
"""

_OVERFLOW = """
() => [...document.querySelectorAll('.page, .page *')]
  .filter((e) => e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 0.5)
  .map((e) => e.tagName + '.' + e.className)
  .concat(document.documentElement.scrollWidth > innerWidth ? ['the page scrolls sideways'] : [])
"""


def audit(page: Page) -> dict[str, Any]:
    """Measure the page as it stands. Assert that it has no fault; return the figures."""
    page.wait_for_timeout(600)  # let motion and the half second after a press pass
    found: dict[str, Any] = page.evaluate(_MEASURE)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    report = page.evaluate(f"axe.run(document, {{runOnly: {{type: 'tag', values: {json.dumps(RULES)}}}}})")
    for violation in report["violations"]:
        found["faults"] += [f"axe {violation['id']}: {node['html'][:160]}" for node in violation["nodes"]]
    found["rules_passed"] = len(report["passes"])
    found["faults"] += overflow(page)
    assert not found["faults"], f"{page.url}: " + "; ".join(found["faults"])
    return found


def overflow(page: Page) -> list[str]:
    """What sticks out to the right at each width a phone has; the width is put back afterwards."""
    size = page.viewport_size
    assert size is not None
    faults = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": size["height"]})
        faults += [f"at {width} px: {what}" for what in page.evaluate(_OVERFLOW)]
    page.set_viewport_size(size)
    return faults
