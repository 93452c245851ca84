"""What a page must be for everybody: it fits, it can be read, and everything in it has a name."""

from tests.browser.browser import Browser

WIDER = """
const width = window.innerWidth;
if (document.documentElement.scrollWidth <= width) return [];
return [...document.querySelectorAll('body *')]
  .filter(one => one.getBoundingClientRect().right > width + 1)
  .map(one => one.tagName + '.' + one.className + ' ' + Math.round(one.getBoundingClientRect().right)).slice(0, 9);
"""
NAMELESS = """
const named = one => (one.labels && one.labels.length) || one.getAttribute('aria-label')
  || one.getAttribute('aria-labelledby') || one.textContent.trim() || one.title || one.value;
return [...document.querySelectorAll(
  'input:not([type=hidden]), select, textarea, button, a[href], meter, img, [role=button]')]
  .filter(one => one.checkVisibility() && !(one.matches('input, select, textarea, meter')
    ? (one.labels && one.labels.length) || one.getAttribute('aria-label') : named(one)))
  .map(one => one.outerHTML.slice(0, 120));
"""
# The contrast of each piece of text with what is behind it (WCAG 2, 1.4.3).
PALE = """
const brush = Object.assign(document.createElement('canvas'), {width: 1, height: 1})
  .getContext('2d', {willReadFrequently: true});
const parts = colour => { brush.clearRect(0, 0, 1, 1); brush.fillStyle = colour; brush.fillRect(0, 0, 1, 1);
  const found = [...brush.getImageData(0, 0, 1, 1).data]; return [...found.slice(0, 3), found[3] / 255]; };
const light = rgb => { const [r, g, b] = rgb.map(part => { part /= 255;
  return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = one => { for (; one; one = one.parentElement) {
    const back = parts(getComputedStyle(one).backgroundColor);
    if (back[3] > 0.99) return back.slice(0, 3);
  }
  return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255]; };
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const one = walker.currentNode.parentElement;
  if (!walker.currentNode.textContent.trim() || one.matches('script, option, style')) continue;
  if (!one.checkVisibility()) continue;
  const style = getComputedStyle(one), front = light(parts(style.color).slice(0, 3)), back = light(behind(one));
  const contrast = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
  if (contrast < 4.5) found.push(walker.currentNode.textContent.trim().slice(0, 40) + ': ' + contrast.toFixed(1));
}
return found;
"""


def fits(browser: Browser) -> None:
    """Check that nothing is wider than the screen."""
    assert browser.run(WIDER) == [], browser.path


def is_named(browser: Browser) -> None:
    """Check that whatever can be used has a name, and the page a heading."""
    assert browser.run(NAMELESS) == [], browser.path
    assert len(browser.all("h1")) == 1, browser.path


def is_readable(browser: Browser) -> None:
    """Check that text stands out from its background, on a light page and on a dark one."""
    for dark in (False, True):
        browser.darken(dark)
        assert browser.run(PALE) == [], (browser.path, dark)
    browser.darken(False)
