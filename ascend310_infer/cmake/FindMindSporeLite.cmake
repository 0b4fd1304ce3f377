# MindSpore Lite below LITE_HOME (a CMake or an environment variable), in one of two layouts:
#   the vendor's tarball:  runtime/include/api/*.h, runtime/lib/libmindspore-lite.so, tools/converter
#   PyPI's wheel 2.0.0:    include/api/*.h, lib/libmindspore-extendrt_python.so, lib/libmindspore_converter.so
# Defines the target MindSporeLite::Runtime, and of the wheel MindSporeLite::Converter: the tarball has the program
# converter_lite in place of it. Programs linked to them find the libraries without LD_LIBRARY_PATH. Lite is built with
# the old or the new ABI of std::string: all is compiled as it is.
set(LITE_HOME "$ENV{LITE_HOME}" CACHE PATH "MindSpore Lite: the vendor's tarball or PyPI's wheel, unpacked")
# Another one than last time in the environment counts, and nothing found in the last one stays.
if(NOT "$ENV{LITE_HOME}" STREQUAL "" AND NOT "$ENV{LITE_HOME}" STREQUAL "${LITE_HOME}")
  set_property(CACHE LITE_HOME PROPERTY VALUE "$ENV{LITE_HOME}")
endif()
if(NOT "${LITE_HOME}" STREQUAL "${MindSporeLite_LOOKED_IN}")
  unset(MindSporeLite_INCLUDE_DIR CACHE)
  unset(MindSporeLite_RUNTIME CACHE)
  unset(MindSporeLite_CONVERTER CACHE)
  unset(MindSporeLite_CORE CACHE)
  unset(LITE_CXX11_ABI CACHE)
  set(MindSporeLite_LOOKED_IN "${LITE_HOME}" CACHE INTERNAL "")
endif()

find_path(
  MindSporeLite_INCLUDE_DIR include/api/model.h
  PATHS "${LITE_HOME}/runtime" "${LITE_HOME}"
  NO_DEFAULT_PATH
)
find_library(
  MindSporeLite_RUNTIME
  NAMES mindspore-lite mindspore-extendrt_python
  PATHS "${LITE_HOME}/runtime/lib" "${LITE_HOME}/lib"
  NO_DEFAULT_PATH
)
find_library(MindSporeLite_CONVERTER mindspore_converter PATHS "${LITE_HOME}/lib" NO_DEFAULT_PATH)
find_library(MindSporeLite_CORE mindspore_core PATHS "${LITE_HOME}/lib" NO_DEFAULT_PATH)
if(LITE_HOME AND NOT (MindSporeLite_INCLUDE_DIR AND MindSporeLite_RUNTIME))
  message(
    FATAL_ERROR
      "LITE_HOME=${LITE_HOME} has no MindSpore Lite: neither runtime/include/api/model.h with runtime/lib (the vendor's "
      "tarball) nor include/api/model.h with lib (PyPI's wheel); correct LITE_HOME, or run `make lite` on x86_64"
  )
endif()

# The wheel says its version in version.py, the vendor's tarball in its name (mindspore-lite-2.2.14-linux-aarch64).
set(MindSporeLite_VERSION "unknown")
if(EXISTS "${LITE_HOME}/version.py")
  file(STRINGS "${LITE_HOME}/version.py" _version REGEX "^__version__")
else()
  get_filename_component(_version "${LITE_HOME}" REALPATH)
endif()
if(_version MATCHES "([0-9]+\\.[0-9]+\\.[0-9]+[a-z0-9.]*)")
  set(MindSporeLite_VERSION "${CMAKE_MATCH_1}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  MindSporeLite
  REQUIRED_VARS MindSporeLite_RUNTIME MindSporeLite_INCLUDE_DIR
  VERSION_VAR MindSporeLite_VERSION
)

# For each target once: NAME, a library, and further ones that it needs.
function(_mindspore_lite_target name library)
  add_library(MindSporeLite::${name} INTERFACE IMPORTED)
  set_target_properties(
    MindSporeLite::${name}
    PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${MindSporeLite_INCLUDE_DIR};${MindSporeLite_INCLUDE_DIR}/include"
               INTERFACE_SYSTEM_INCLUDE_DIRECTORIES
               "${MindSporeLite_INCLUDE_DIR};${MindSporeLite_INCLUDE_DIR}/include"
               INTERFACE_LINK_LIBRARIES "${library};${ARGN}"
               # The libraries lack a RUNPATH of their own: the program's RPATH (old tags) holds for them too. Those of
               # an Ascend's driver are found when the program starts, or not needed.
               INTERFACE_LINK_OPTIONS "LINKER:--allow-shlib-undefined;LINKER:--disable-new-dtags"
  )
endfunction()

if(MindSporeLite_FOUND AND NOT TARGET MindSporeLite::Runtime)
  _mindspore_lite_target(Runtime "${MindSporeLite_RUNTIME}")
  # The class that convert/lite_converter.h declares, as PyPI's wheel exports it.
  set(_converter "")
  if(MindSporeLite_CONVERTER AND MindSporeLite_CORE)
    execute_process(COMMAND "${CMAKE_NM}" -D "${MindSporeLite_CONVERTER}" OUTPUT_VARIABLE _converter ERROR_QUIET)
  endif()
  if(_converter MATCHES "T _ZN9mindspore9Converter7ConvertEv")
    # The runtime comes first: the converter's library has an engine too, which cannot read MINDIR.
    _mindspore_lite_target(Converter "${MindSporeLite_RUNTIME}" "${MindSporeLite_CONVERTER}" "${MindSporeLite_CORE}")
  endif()
  execute_process(
    COMMAND "${CMAKE_NM}" -D "${MindSporeLite_RUNTIME}"
    OUTPUT_VARIABLE symbols
    ERROR_QUIET
  )
  if(symbols MATCHES "mindspore[A-Za-z0-9_]*NSt7__cxx11")
    set(_abi 1)
  else()
    set(_abi 0)
  endif()
  set(LITE_CXX11_ABI ${_abi} CACHE STRING "_GLIBCXX_USE_CXX11_ABI as MindSpore Lite was built (default: as seen in it)")
  add_compile_definitions(_GLIBCXX_USE_CXX11_ABI=${LITE_CXX11_ABI})
endif()
