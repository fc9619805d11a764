// Package service is what a platform's supervisor of processes needs: the files that make a
// node a service of systemd or launchd, and the messages by which a node tells systemd how
// it is.
package service
