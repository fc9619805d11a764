package monitoring

import (
	"bytes"
	"maps"
	"net/http"
	"sync"
)

// scrapesMax is how many scrapes are rendered at once. More are given what was rendered
// last, in the form that they ask for, and wait for their turn only if there is none yet.
const scrapesMax = 4

// formsMax bounds the forms of which the last rendering is kept.
const formsMax = 8

// scrapes serves metrics that cost something to render to however many ask.
type scrapes struct {
	render http.Handler
	slots  chan struct{}

	mu   sync.Mutex
	last map[string]*rendering // by what a scraper accepts
}

// rendering is one answer; it implements http.ResponseWriter while it is rendered.
type rendering struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newScrapes(render http.Handler) *scrapes {
	return &scrapes{render: render, slots: make(chan struct{}, scrapesMax), last: make(map[string]*rendering)}
}

// ServeHTTP implements http.Handler. A slow reader holds its own answer and no slot.
func (s *scrapes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	form := r.Header.Get("Accept") + "\n" + r.Header.Get("Accept-Encoding")
	answer := s.answer(r, form)
	if answer == nil {
		return // nobody waits any more
	}
	maps.Copy(w.Header(), answer.header)
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body.Bytes())
}

func (s *scrapes) answer(r *http.Request, form string) *rendering {
	select {
	case s.slots <- struct{}{}:
	default:
		s.mu.Lock()
		last := s.last[form]
		s.mu.Unlock()
		if last != nil {
			return last
		}
		select {
		case s.slots <- struct{}{}:
		case <-r.Context().Done():
			return nil
		}
	}
	defer func() { <-s.slots }()
	answer := &rendering{header: make(http.Header), status: http.StatusOK}
	s.render.ServeHTTP(answer, r)
	if answer.status == http.StatusOK {
		s.mu.Lock()
		if _, known := s.last[form]; known || len(s.last) < formsMax {
			s.last[form] = answer
		}
		s.mu.Unlock()
	}
	return answer
}

// Header implements http.ResponseWriter.
func (a *rendering) Header() http.Header { return a.header }

// Write implements http.ResponseWriter.
func (a *rendering) Write(b []byte) (int, error) { return a.body.Write(b) }

// WriteHeader implements http.ResponseWriter.
func (a *rendering) WriteHeader(status int) { a.status = status }
