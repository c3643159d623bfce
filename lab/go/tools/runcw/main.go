// Command runcw runs runc, after it has taken out of the container's specification every capability that this host's
// own bounding set lacks.
//
// Docker before 23 asks for all capabilities for a privileged container, and runc refuses to start one when a single
// capability cannot be given. This program only ever asks for less; on a host with a complete bounding set it changes
// nothing.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// names holds the capabilities in the kernel's order: the index is the bit.
var names = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
	"CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
	"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
	"CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "runcw:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	bounding, err := boundingSet("/proc/self/status")
	if err != nil {
		return err
	}
	path, keys := specification(arguments)
	if path != "" {
		if err := trim(path, keys, bounding); err != nil {
			return err
		}
	}
	runc, err := exec.LookPath("runc")
	if err != nil {
		return err
	}
	return syscall.Exec(runc, append([]string{"runc"}, arguments...), os.Environ())
}

// specification returns the JSON file that the given runc command line is about to use, and the keys under which it
// keeps the capabilities; "" when the command starts no process.
func specification(arguments []string) (string, []string) {
	inProcess := []string{"process", "capabilities"}
	switch {
	case slices.Contains(arguments, "create"), slices.Contains(arguments, "run"):
		bundle := flagValue(arguments, "--bundle", "-b")
		if bundle == "" {
			bundle = "."
		}
		return filepath.Join(bundle, "config.json"), inProcess
	case slices.Contains(arguments, "exec"):
		return flagValue(arguments, "--process", "-p"), inProcess[1:]
	}
	return "", nil
}

func flagValue(arguments []string, long, short string) string {
	for i, argument := range arguments {
		if value, found := strings.CutPrefix(argument, long+"="); found {
			return value
		}
		if (argument == long || argument == short) && i+1 < len(arguments) {
			return arguments[i+1]
		}
	}
	return ""
}

// boundingSet reads the names of the capabilities in this process's bounding set.
func boundingSet(status string) (map[string]bool, error) {
	file, err := os.Open(status)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		value, found := strings.CutPrefix(lines.Text(), "CapBnd:")
		if !found {
			continue
		}
		bits, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil {
			return nil, err
		}
		held := map[string]bool{}
		for bit, name := range names {
			held[name] = bits&(1<<bit) != 0
		}
		return held, nil
	}
	return nil, fmt.Errorf("expected a CapBnd line in %s, found none", status)
}

// trim removes from the capability lists below keys everything that is not held, and writes the file if that changed it.
func trim(path string, keys []string, held map[string]bool) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var document map[string]any
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber() // a limit near 2^63 would not survive a float64
	if err := decoder.Decode(&document); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	node := document
	for _, key := range keys {
		next, found := node[key].(map[string]any)
		if !found {
			return nil
		}
		node = next
	}
	changed := false
	for set, value := range node {
		list, ok := value.([]any)
		if !ok {
			continue
		}
		kept := slices.DeleteFunc(slices.Clone(list), func(item any) bool {
			name, ok := item.(string)
			return ok && !held[name]
		})
		if len(kept) != len(list) {
			node[set] = kept
			changed = true
		}
	}
	if !changed {
		return nil
	}
	content, err = json.Marshal(document)
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}
