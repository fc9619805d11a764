package monitoring

import "net/http"

// ScrapesMax is how many scrapes are rendered at once.
const ScrapesMax = scrapesMax

// NewScrapes serves what a handler renders.
func NewScrapes(render http.Handler) http.Handler { return newScrapes(render) }
