#include "child.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <system_error>

#include "fault.h"

namespace erfnet {
namespace {

// Left by the child when it has done its work: no code that a library would end it with.
constexpr int kWorked = 77;
constexpr int kFaulted = 78;

// Blocks SIGINT, SIGTERM and SIGCHLD, to be waited for, while it is there.
class WaitedSignals {
 public:
  WaitedSignals() {
    // Ignored, as whoever started the program may have it, it would not come.
    std::signal(SIGCHLD, SIG_DFL);
    sigemptyset(&waited_);
    for (const int signal : {SIGINT, SIGTERM, SIGCHLD}) {
      sigaddset(&waited_, signal);
    }
    pthread_sigmask(SIG_BLOCK, &waited_, &before_);
  }
  ~WaitedSignals() { Restore(); }
  WaitedSignals(const WaitedSignals&) = delete;
  WaitedSignals& operator=(const WaitedSignals&) = delete;

  void Restore() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  [[nodiscard]] int Wait() const {
    int signal = 0;
    sigwait(&waited_, &signal);
    return signal;
  }

 private:
  sigset_t waited_{};
  sigset_t before_{};
};

// What the child says of a Fault: its code in the first byte, then the message.
void Tell(int file, ExitCode code, const std::string& message) {
  const std::string text = static_cast<char>(code) + message;
  // Nobody can be told of an error here; the parent sees that the child said nothing.
  if (write(file, text.data(), text.size()) < 0) {
    _exit(1);
  }
}

[[noreturn]] void Work(pid_t parent, int file, const std::function<void()>& work) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) {
    _exit(1);
  }
  try {
    work();
  } catch (const Fault& fault) {
    Tell(file, fault.code(), fault.what());
    _exit(kFaulted);
  } catch (const std::exception& error) {
    Tell(file, ExitCode::kUnexpected, error.what());
    _exit(kFaulted);
  }
  _exit(kWorked);
}

[[noreturn]] void Throw(int file) {
  std::array<char, 4096> text{};
  const ssize_t size = pread(file, text.data(), text.size(), 0);
  if (size < 1) {
    throw Fault(ExitCode::kUnexpected, "a child process ended without a word");
  }
  throw Fault(static_cast<ExitCode>(static_cast<unsigned char>(text[0])),
              std::string(text.data() + 1, static_cast<std::size_t>(size - 1)));
}

int StatusOf(pid_t child, const WaitedSignals& signals) {
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (signals.Wait() != SIGCHLD) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      throw Fault(ExitCode::kInterrupted, "interrupted");
    }
  }
  return status;
}

}  // namespace

void RunInChild(const std::string& what, const std::string& remedy, const std::function<void()>& work) {
  const int file = memfd_create("fault", MFD_CLOEXEC);
  WaitedSignals signals;
  const pid_t parent = getpid();
  const pid_t child = file < 0 ? -1 : fork();
  if (child < 0) {
    throw std::system_error(errno, std::generic_category(), "a child process cannot be started");
  }
  if (child == 0) {
    signals.Restore();
    Work(parent, file, work);
  }
  const int status = StatusOf(child, signals);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kFaulted) {
    Throw(file);
  }
  close(file);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != kWorked) {
    const std::string how = WIFSIGNALED(status) ? std::string("dies of ") + strsignal(WTERMSIG(status))
                                                : "ends with " + std::to_string(WEXITSTATUS(status));
    throw Fault(ExitCode::kBadModel, what + " " + how + ": " + remedy);
  }
}

}  // namespace erfnet
