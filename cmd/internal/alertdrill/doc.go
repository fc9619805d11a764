// Package alertdrill shows that alerts come: it runs a cluster, a Prometheus and an
// Alertmanager on this machine, makes the fault that an alert is for, and follows the alert
// from pending to firing, to the receivers and back, with the rules that export writes for a
// trial.
//
// A Trial is the processes. A Fault makes one alert's condition true and takes it back, or
// says why that cannot be done here. Run carries out one and tells what was seen.
package alertdrill
