// What is wider than the page scrolls sideways inside its box; the keyboard can do so once the box has a tab stop.
const boxes = ".md-typeset pre > code, .md-typeset__scrollwrap, .md-typeset__table, .formula"
function markScrollable() {
  for (const box of document.querySelectorAll(boxes)) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0
    else box.removeAttribute("tabindex")
  }
}
addEventListener("load", markScrollable)
addEventListener("resize", markScrollable)
