# Flags of every target, and the one function that makes a room of src/moge.

add_library(moge_flags INTERFACE)
target_include_directories(moge_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_options(moge_flags INTERFACE -Wall -Wextra -Werror -Wno-missing-field-initializers
                                            -ffp-contract=off)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g")
set(CMAKE_CXX_FLAGS_SANITIZE "-O1 -g1 -fno-omit-frame-pointer")
if(MOGE_SANITIZE)
  target_compile_options(moge_flags INTERFACE -fsanitize=${MOGE_SANITIZE}
                                              -fno-sanitize-recover=undefined
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)  # false ones: sanitizers change the flow
  if(MOGE_SANITIZE STREQUAL "thread")  # it cannot see fences: Asio's blocks are built without them
    target_compile_definitions(moge_flags INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
    target_compile_options(moge_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
  endif()
  target_link_options(moge_flags INTERFACE -fsanitize=${MOGE_SANITIZE})
endif()

if(MOGE_FUZZ)  # without it libFuzzer sees no coverage of the libraries
  target_compile_options(moge_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_program(MOGE_CCACHE ccache)
if(MOGE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${MOGE_CCACHE})
endif()
find_program(MOGE_MOLD mold)
if(MOGE_MOLD)
  target_link_options(moge_flags INTERFACE -fuse-ld=mold)
endif()

if(MOGE_FUZZ)
  add_custom_target(fuzzers)  # every *_fuzz.cc of every room
endif()

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
if(MOGE_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

# moge_room(NAME [rooms and libraries it stands on...])
#
# Library moge_NAME from every *.cc of the folder; *_test.cc become the test program NAME_test, and
# *_slow_test.cc the program NAME_slow_test, whose cases carry the ctest label "slow". Programs that
# only tests use (test_*.cc / test_*.h helpers) belong to the test programs.
function(moge_room name)
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$|/test_[^/]*\\.cc$|_fuzz\\.cc$")
  if(NOT sources)
    return()
  endif()
  add_library(moge_${name} STATIC ${sources})
  target_link_libraries(moge_${name} PUBLIC moge_flags ${ARGN})
  if(MOGE_FUZZ)
    file(GLOB fuzzers CONFIGURE_DEPENDS *_fuzz.cc)
    foreach(source ${fuzzers})
      moge_fuzzer(${name} ${source})
    endforeach()
  endif()
  if(MOGE_TESTS)
    list(FILTER tests INCLUDE REGEX "_test\\.cc$|/test_[^/]*\\.cc$")
    set(slow ${tests})
    list(FILTER slow INCLUDE REGEX "_slow_test\\.cc$|/test_[^/]*\\.cc$")
    list(FILTER tests EXCLUDE REGEX "_slow_test\\.cc$")
    moge_test_program(${name}_test fast "${tests}" moge_${name})
    moge_test_program(${name}_slow_test slow "${slow}" moge_${name})
  endif()
endfunction()

function(moge_fuzzer room source)
  get_filename_component(target ${source} NAME_WE)
  add_executable(${target} ${source})
  target_link_libraries(${target} PRIVATE moge_${room} -fsanitize=fuzzer)
  add_dependencies(fuzzers ${target})
endfunction()

# The only file that knows where the checkout lies: the others' objects are the same in any folder.
if(MOGE_TESTS)
  add_library(moge_test_paths STATIC ${PROJECT_SOURCE_DIR}/tests/test_paths.cc)
  target_link_libraries(moge_test_paths PUBLIC moge_flags)
  target_compile_definitions(moge_test_paths PRIVATE MOGE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
endif()

function(moge_test_program target label sources)
  set(cases ${sources})
  list(FILTER cases INCLUDE REGEX "_test\\.cc$")
  if(NOT cases)
    return()
  endif()
  add_executable(${target} ${sources})
  target_link_libraries(${target} PRIVATE ${ARGN} moge_test_paths GTest::gtest_main)
  gtest_discover_tests(${target} PROPERTIES LABELS ${label} DISCOVERY_TIMEOUT 60)
endfunction()
