// Follows the operation that the page shows, and loads the page anew when it has ended.
"use strict";
for (const shown of document.querySelectorAll("[data-events]")) {
  const source = new EventSource(shown.dataset.events);
  source.addEventListener("timeline", (event) => { shown.innerHTML = event.data; });
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 10000);
  });
  source.addEventListener("ended", () => { source.close(); location.reload(); });
}
