// The search index is as long as the site's text. It is fetched when the search field is first used, not with
// every page that is opened: Material asks for it by an XMLHttpRequest, which waits here.
(() => {
  const { open, send } = XMLHttpRequest.prototype
  const wanted = new Promise((resolve) => {
    if (new URLSearchParams(location.search).has("q")) resolve()
    for (const event of ["focusin", "change", "pointerdown"])
      document.addEventListener(event, ({ target }) => {
        if (target instanceof Element && target.closest('.md-search, #__search, [for="__search"]')) resolve()
      })
  })
  XMLHttpRequest.prototype.open = function (method, address, ...more) {
    this.waits = String(address).endsWith("search/search_index.json")
    return open.call(this, method, address, ...more)
  }
  XMLHttpRequest.prototype.send = function (body) {
    if (!this.waits) return send.call(this, body)
    wanted.then(() => send.call(this, body))
  }
})()
