package service

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
)

// Platform is a supervisor of processes.
type Platform string

// The platforms.
const (
	Systemd Platform = "systemd"
	Launchd Platform = "launchd"
)

// PlatformOf is the one of an operating system, "" if there is none.
func PlatformOf(goos string) Platform {
	switch goos {
	case "linux":
		return Systemd
	case "darwin":
		return Launchd
	default:
		return ""
	}
}

// Where the files of a service are.
const (
	Unit      = "bursar.service"
	UnitPath  = "/etc/systemd/system/" + Unit
	Label     = "com.the-block.bursar"
	PlistPath = "/Library/LaunchDaemons/" + Label + ".plist"
	// StateDir is where systemd lets the service write.
	StateDir = "/var/lib/bursar"
)

// Path is where the platform looks for the description of the service.
func (p Platform) Path() string {
	if p == Launchd {
		return PlistPath
	}
	return UnitPath
}

// Service is a node as a service.
type Service struct {
	Binary string // absolute
	Config string // absolute, the node's settings
	User   string // whom it runs as
}

// Describe is the file that makes s a service of the platform.
func (s Service) Describe(p Platform) ([]byte, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	switch p {
	case Systemd:
		return s.unit(), nil
	case Launchd:
		return s.plist(), nil
	default:
		return nil, fmt.Errorf("platform %q is neither systemd nor launchd", string(p))
	}
}

func (s Service) validate() error {
	for name, path := range map[string]string{"binary": s.Binary, "config": s.Config} {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("%s %q: a service needs an absolute path", name, path)
		}
		if strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune(`"'\`, r) }) {
			return fmt.Errorf("%s %q: a path of a service has neither quotes, backslashes nor control characters", name, path)
		}
	}
	if s.User == "" || strings.ContainsFunc(s.User, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", r)
	}) {
		return errors.New("user: letters, digits, _ and - only")
	}
	return nil
}

// quoted is a path as an argument of a unit's command line.
func quoted(path string) string {
	return `"` + strings.NewReplacer("%", "%%", "$", "$$").Replace(path) + `"`
}

// unit starts the node without a limit: it says that it is ready when it listens, and a large
// log takes its time before. It is started again for ever, as what it lacks, a disk or an
// address, may come back. It makes no code at run time, and of the kernel's other sockets it
// needs netlink alone, which names the machine's addresses.
func (s Service) unit() []byte {
	return fmt.Appendf(nil, `[Unit]
Description=Bursar node
Documentation=man:bursar(1)
Wants=network-online.target
After=network-online.target time-sync.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart=%s node --config %s
ExecReload=/bin/kill -HUP $MAINPID
User=%s
Group=%s
WatchdogSec=60
TimeoutStartSec=infinity
TimeoutStopSec=90
Restart=on-failure
RestartSec=5
LimitNOFILE=65536
OOMScoreAdjust=-500

StateDirectory=bursar
StateDirectoryMode=0700
WorkingDirectory=%s
UMask=0077

CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateUsers=yes
PrivateMounts=yes
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectHostname=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
DevicePolicy=closed
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
`, quoted(s.Binary), quoted(s.Config), s.User, s.User, StateDir)
}

// plist keeps the machine awake while the node runs (caffeinate -s, as long as it has
// power), and starts it again unless it ended well.
func (s Service) plist() []byte {
	text := func(value string) string {
		var out bytes.Buffer
		_ = xml.EscapeText(&out, []byte(value)) // a buffer takes all
		return out.String()
	}
	return fmt.Appendf(nil, `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>%s</string>
	<key>ProgramArguments</key>
	<array>
		<string>/usr/bin/caffeinate</string>
		<string>-s</string>
		<string>%s</string>
		<string>node</string>
		<string>--config</string>
		<string>%s</string>
	</array>
	<key>UserName</key>
	<string>%s</string>
	<key>RunAtLoad</key>
	<true/>
	<key>KeepAlive</key>
	<dict>
		<key>SuccessfulExit</key>
		<false/>
	</dict>
	<key>ThrottleInterval</key>
	<integer>5</integer>
	<key>ExitTimeOut</key>
	<integer>90</integer>
	<key>ProcessType</key>
	<string>Interactive</string>
	<key>Umask</key>
	<integer>63</integer>
	<key>SoftResourceLimits</key>
	<dict>
		<key>NumberOfFiles</key>
		<integer>65536</integer>
	</dict>
	<key>StandardErrorPath</key>
	<string>/var/log/bursar.log</string>
</dict>
</plist>
`, Label, text(s.Binary), text(s.Config), text(s.User))
}
