package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/service"
)

func newService(std streams) *cobra.Command {
	command := &cobra.Command{
		Use:   "service",
		Short: "Have this machine keep a node running",
		Long: `Makes a node a service of systemd (Linux) or launchd (macOS): started with the machine, started again
when it fails, watched, and kept from everything on the machine that it does not need.`,
		Args: cobra.ArbitraryArgs,
		RunE: needsSubcommand,
	}
	command.AddCommand(newServiceInstall(std), newServiceUninstall(std), newServiceStatus(std))
	for _, child := range command.Commands() {
		child.Args = asUsage(child.Args)
	}
	return command
}

// platformFlag adds --platform and returns what it says when it is asked.
func platformFlag(command *cobra.Command) func() (service.Platform, error) {
	text := command.Flags().String("platform", "", "systemd or launchd; this machine's if it is not given")
	return func() (service.Platform, error) {
		switch p := service.Platform(*text); {
		case p == service.Systemd || p == service.Launchd:
			return p, nil
		case p != "":
			return "", usagef("--platform: %q is neither systemd nor launchd", *text)
		}
		if p := service.PlatformOf(runtime.GOOS); p != "" {
			return p, nil
		}
		return "", fmt.Errorf("%s has neither systemd nor launchd", runtime.GOOS)
	}
}

func newServiceInstall(std streams) *cobra.Command {
	var s service.Service
	var show bool
	command := &cobra.Command{
		Use:   "install",
		Short: "Make a node a service and start it",
		Long: `Writes the description of the service, starts the node and has it started with the machine. Needs root.

The settings are read from --config, which is to exist and to name a data directory that the service may
write: under systemd that is /var/lib/bursar and nothing else. Keep certificates and keys where --user can read them.
--print writes the description to standard output and changes nothing.`,
		Example: `  bursar service install --print
  sudo bursar service install --config /etc/bursar/bursar.toml`,
	}
	platform := platformFlag(command)
	command.Flags().StringVar(&s.Binary, "binary", "", "the program; this one if it is not given")
	command.Flags().StringVar(&s.Config, "config", "/etc/bursar/bursar.toml", "TOML file with the node's settings")
	command.Flags().StringVar(&s.User, "user", "bursar", "the account that it runs as; made on Linux if it is not there")
	command.Flags().BoolVar(&show, "print", false, "write the description to standard output and change nothing")
	command.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := platform()
		if err != nil {
			return err
		}
		if s.Binary == "" {
			if s.Binary, err = os.Executable(); err != nil {
				return err
			}
		}
		text, err := s.Describe(p)
		if err != nil {
			return usageError{err}
		}
		if show {
			_, err = std.out.Write(text)
			return err
		}
		return installService(cmd.Context(), std, p, s, text)
	}
	return command
}

// installService makes s a service of this machine and starts it.
func installService(ctx context.Context, std streams, p service.Platform, s service.Service, text []byte) error {
	if err := mayManage(p); err != nil {
		return err
	}
	if _, err := os.Stat(s.Config); err != nil {
		return fmt.Errorf("the node's settings: %w; write them first, for instance\n  name = \"n1\"\n  data = %q\n  bootstrap_expect = 1", err, service.StateDir)
	}
	if top := strings.Split(s.Binary, "/")[1]; p == service.Systemd && (top == "home" || top == "root") {
		return usagef("--binary %s: the service sees no home directory; copy the program to /usr/local/bin", s.Binary)
	}
	if err := haveAccount(ctx, p, s.User); err != nil {
		return err
	}
	if err := os.WriteFile(p.Path(), text, 0o644); err != nil {
		return err
	}
	steps := [][]string{{"systemctl", "daemon-reload"}, {"systemctl", "enable", service.Unit}, {"systemctl", "restart", service.Unit}}
	if p == service.Launchd {
		_ = exec.CommandContext(ctx, "launchctl", "bootout", "system/"+service.Label).Run() // one that was there before
		steps = [][]string{{"launchctl", "bootstrap", "system", service.PlistPath}}
	}
	if err := runSteps(ctx, steps); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "installed %s\nThe node runs and starts with the machine; see: bursar service status\n", p.Path())
	return nil
}

// mayManage refuses to manage another platform than this machine's, or without its rights.
func mayManage(p service.Platform) error {
	if p != service.PlatformOf(runtime.GOOS) {
		return usagef("this machine has no %s; --print writes the description for another", p)
	}
	if os.Geteuid() != 0 {
		return errors.New("services of the machine are root's: use sudo, or --print and do it by hand")
	}
	return nil
}

// haveAccount makes the account of the service on Linux if there is none.
func haveAccount(ctx context.Context, p service.Platform, name string) error {
	if exec.CommandContext(ctx, "id", "-u", name).Run() == nil {
		return nil
	}
	if p == service.Launchd {
		return fmt.Errorf("there is no account %q: make one in System Settings, or name yours with --user", name)
	}
	return runSteps(ctx, [][]string{{"useradd", "--system", "--user-group", "--home-dir", service.StateDir, "--no-create-home", "--shell", "/usr/sbin/nologin", name}})
}

// runSteps runs programs in turn; the first that fails is named with what it said.
func runSteps(ctx context.Context, steps [][]string) error {
	for _, step := range steps {
		if out, err := exec.CommandContext(ctx, step[0], step[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(step, " "), err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

func newServiceUninstall(std streams) *cobra.Command {
	command := &cobra.Command{
		Use:     "uninstall",
		Short:   "Stop the node and have it no longer be a service",
		Long:    "Stops the node in order and removes the description of the service. Settings, data and account stay. Needs root.",
		Example: "  sudo bursar service uninstall",
	}
	platform := platformFlag(command)
	command.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := platform()
		if err != nil {
			return err
		}
		if err := mayManage(p); err != nil {
			return err
		}
		if _, err := os.Stat(p.Path()); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is not there: no service was installed by this command", p.Path())
		}
		stop := []string{"systemctl", "disable", "--now", service.Unit}
		if p == service.Launchd {
			stop = []string{"launchctl", "bootout", "system/" + service.Label}
		}
		if err := runSteps(cmd.Context(), [][]string{stop}); err != nil {
			return err
		}
		if err := os.Remove(p.Path()); err != nil {
			return err
		}
		if p == service.Systemd {
			if err := runSteps(cmd.Context(), [][]string{{"systemctl", "daemon-reload"}}); err != nil {
				return err
			}
		}
		fmt.Fprintf(std.out, "removed %s; settings and data stay\n", p.Path())
		return nil
	}
	return command
}

func newServiceStatus(std streams) *cobra.Command {
	command := &cobra.Command{
		Use:     "status",
		Short:   "Print what the machine says of the service",
		Long:    "Prints what systemd or launchd says of the service, in their words. Exits with 1 if it does not run.",
		Example: "  bursar service status",
	}
	platform := platformFlag(command)
	command.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := platform()
		if err != nil {
			return err
		}
		line := []string{"systemctl", "status", "--no-pager", service.Unit}
		if p == service.Launchd {
			line = []string{"launchctl", "print", "system/" + service.Label}
		}
		ask := exec.CommandContext(cmd.Context(), line[0], line[1:]...)
		ask.Stdout, ask.Stderr = std.out, std.err
		if err := ask.Run(); err != nil {
			return fmt.Errorf("%s %s: %w", filepath.Base(line[0]), line[1], err)
		}
		return nil
	}
	return command
}
