package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// process is a running component.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	// done is closed when the process has ended; err may be read from then on.
	done chan struct{}
	err  error
}

// startSelf runs this program under a component's name.
func startSelf(logDir, name string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(logDir, name, self, args...)
}

// start runs a program under the given name, with its output in a file of the log folder.
func start(logDir, name, program string, args ...string) (*process, error) {
	log := filepath.Join(logDir, name+".log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(program)
	cmd.Args = append([]string{name}, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = childAttributes()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{name: name, log: log, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop asks the process to end and kills it after the given time.
func (p *process) stop(patience time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // It may have ended already.
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// failure says how a process that should be running ended, with the end of its log.
func (p *process) failure() error {
	return fmt.Errorf("%s ended: %v; the end of %s:\n%s", p.name, p.err, p.log, logTail(p.log))
}

// logTail returns the last lines of a log, bounded so that an error stays readable.
func logTail(path string) []byte {
	const most = 3000
	content, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	if len(content) > most {
		content = content[len(content)-most:]
		if end := bytes.IndexByte(content, '\n'); end >= 0 {
			content = content[end+1:]
		}
	}
	return content
}
