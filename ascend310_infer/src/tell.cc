#include "tell.h"

#include <cerrno>
#include <ostream>
#include <system_error>

#include "fault.h"

namespace erfnet {

void Tell(std::ostream& out, const std::string& text) {
  // What failed before fails again, with its reason.
  out.clear();
  errno = 0;
  out << text << std::flush;
  if (out) {
    return;
  }
  const int error = errno;
  const std::string what = "standard output takes no more";
  if (error == EPIPE) {
    throw Fault(ExitCode::kUnexpected, what + ": whoever read it has ended");
  }
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  throw Fault(full ? ExitCode::kDiskFull : ExitCode::kUnexpected,
              what + (error == 0 ? "" : " (" + std::generic_category().message(error) + ")") +
                  (full ? ": free some room, or send it elsewhere" : ""));
}

}  // namespace erfnet
