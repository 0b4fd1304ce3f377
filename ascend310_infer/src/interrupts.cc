#include "interrupts.h"

#include <pthread.h>
#include <unistd.h>

#include <utility>

namespace erfnet {

Interrupts::Interrupts() {
  struct sigaction present{};
  sigaction(SIGINT, nullptr, &present);
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGTERM);
  if (present.sa_handler != SIG_IGN) {
    sigaddset(&signals_, SIGINT);
  }
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  thread_ = std::thread([this] { Wait(); });
}

Interrupts::~Interrupts() {
  ending_ = true;
  // To the thread alone, which waits for nothing else.
  // NOLINTNEXTLINE(bugprone-bad-signal-to-kill-thread): it is blocked, and the thread waits for it
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
  pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
}

void Interrupts::OnRequest(std::function<void()> action) {
  const std::lock_guard lock(mutex_);
  action_ = std::move(action);
  if (requested_ && action_) {
    action_();
  }
}

void Interrupts::Wait() {
  for (int signal = 0; sigwait(&signals_, &signal) == 0 && !ending_;) {
    if (requested_) {
      std::signal(signal, SIG_DFL);
      pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
      kill(getpid(), signal);
      return;
    }
    const std::lock_guard lock(mutex_);
    requested_ = true;
    if (action_) {
      action_();
    }
  }
}

}  // namespace erfnet
