// SIGINT and SIGTERM: the first asks for an end, the second ends at once.
#ifndef ASCEND310_INFER_INTERRUPTS_H_
#define ASCEND310_INFER_INTERRUPTS_H_

#include <atomic>
#include <csignal>
#include <functional>
#include <mutex>
#include <thread>

namespace erfnet {

// To be made before any other thread: the signals are then blocked in all of them, and a thread of its own takes them.
// SIGINT stays ignored where whoever started the program had it so, as a shell does for what runs in the background.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  [[nodiscard]] bool Requested() const { return requested_; }

  // What the first signal does, in the thread of this object; done at once where it has come already.
  void OnRequest(std::function<void()> action);

 private:
  void Wait();

  sigset_t signals_{};
  std::atomic<bool> requested_{false};
  std::atomic<bool> ending_{false};
  std::mutex mutex_;
  std::function<void()> action_;
  std::thread thread_;
};

}  // namespace erfnet

#endif  // ASCEND310_INFER_INTERRUPTS_H_
