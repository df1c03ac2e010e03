%% SPDX-License-Identifier: Apache-2.0
%% peer_erlang - two nodes joined by Erlang's distribution: round trips, and one way.  What peer.h says of
%% the other peers holds here.  perf/README.md says why each setting.
%%
%% erlang.sh starts node A, pinned to core 0; A starts node B, which ends with it and gets the runtime's
%% flags from the environment, PEER_FLAGS.  Prints one JSON object.
-module(peer_erlang).
-export([main/1, answer/1, count/1]).

-define(SIZE, 64).
-define(WARM, 5000).   % messages one way that are checked and not timed
-define(WINDOW, 16384). % messages under way: a mailbox has no bound
-define(CLOCK_EVERY, 64).
%% Word i of message N is N + i * STEP; all stay below 2^59, where integers need no memory of their own.
-define(STEP, 16#5bd1e995a3).

main([Seconds, Placement, Wait]) ->
    Flags = string:lexemes(os:getenv("PEER_FLAGS"), " "),
    Span = erlang:convert_time_unit(round(number(Seconds) * 1.0e9), nanosecond, native),
    {ok, _, Other} = start(Placement, Flags),
    {Trips, Asked} = round_trips(Other, Span),
    {OneWay, Told} = one_way(Other, Span),
    io:format("{\"peer\": \"erlang\", \"version\": \"OTP ~s, erts ~s\", \"transport\": \"tcp\", "
              "\"placement\": \"~s\", \"settings\": {\"wait\": \"~s\", \"flags\": \"~s\", "
              "\"message_queue_data\": \"off_heap\", \"window\": ~b, "
              "\"nagle\": \"off, as Erlang has it\"}, \"rtt_ns\": {~s}, \"one_way\": {~s}, "
              "\"checked\": ~s}~n",
              [erlang:system_info(otp_release), erlang:system_info(version), Placement, Wait,
               lists:join(" ", Flags), ?WINDOW, Trips, OneWay, Asked andalso Told]),
    halt(case Asked andalso Told of true -> 0; false -> 1 end).

number(Text) ->
    try list_to_float(Text) catch error:badarg -> float(list_to_integer(Text)) end.

start(Placement, Flags) ->
    Core = case Placement of "same core" -> "0"; "two cores" -> "1" end,
    Here = filename:dirname(code:which(?MODULE)),
    peer:start_link(#{name => proa_peer_b, host => "127.0.0.1", longnames => true,
                      exec => {"/usr/bin/taskset", ["-c", Core, "erl"]},
                      args => ["-pa", Here, "-start_epmd", "false",
                               "-kernel", "inet_dist_use_interface", "{127,0,0,1}" | Flags]}).

%% ---- Messages ----

payload(N) ->
    <<N:64, (N + ?STEP):64, (N + 2 * ?STEP):64, (N + 3 * ?STEP):64, (N + 4 * ?STEP):64,
      (N + 5 * ?STEP):64, (N + 6 * ?STEP):64, (N + 7 * ?STEP):64>>.

%% Reads every word.
check(<<N:64, B:64, C:64, D:64, E:64, F:64, G:64, H:64>>, N)
  when B =:= N + ?STEP, C =:= N + 2 * ?STEP, D =:= N + 3 * ?STEP, E =:= N + 4 * ?STEP,
       F =:= N + 5 * ?STEP, G =:= N + 6 * ?STEP, H =:= N + 7 * ?STEP ->
    true;
check(_, _) ->
    false.

%% ---- Round trips ----

round_trips(Other, Span) ->
    Echo = spawn_opt(Other, ?MODULE, answer, [0], [link, {message_queue_data, off_heap}]),
    Began = erlang:monotonic_time(),
    {Taken, N} = ask(Echo, 0, Began + Span div 10, Began + Span, []),
    Echo ! {self(), ends},
    Right = receive {Echo, answered, Answered} -> Answered =:= N end,
    {distribution(Taken), Right}.

ask(Echo, N, Warm, Until, Taken) ->
    Began = erlang:monotonic_time(),
    Echo ! {self(), payload(N)},
    receive
        {Echo, Back} ->
            Now = erlang:monotonic_time(),
            true = check(Back, N),
            More = if Now >= Warm -> [Now - Began | Taken]; true -> Taken end,
            if Now < Until -> ask(Echo, N + 1, Warm, Until, More);
               true -> {More, N + 1}
            end
    end.

answer(N) ->
    receive
        {A, ends} ->
            A ! {self(), answered, N},
            unlink(A);
        {A, Words} ->
            true = check(Words, N),
            A ! {self(), Words},
            answer(N + 1)
    end.

distribution(Taken) ->
    Sorted = list_to_tuple(lists:sort([erlang:convert_time_unit(T, native, nanosecond) || T <- Taken])),
    Count = tuple_size(Sorted),
    io_lib:format("\"count\": ~b, \"min\": ~b, \"p50\": ~b, \"p90\": ~b, \"p99\": ~b, \"p99.9\": ~b, "
                  "\"max\": ~b",
                  [Count, element(1, Sorted), percentile(Sorted, 50, 100), percentile(Sorted, 90, 100),
                   percentile(Sorted, 99, 100), percentile(Sorted, 999, 1000), element(Count, Sorted)]).

percentile(Sorted, Part, Of) ->
    element(tuple_size(Sorted) * Part div Of + 1, Sorted).

%% ---- One way ----

one_way(Other, Span) ->
    Sink = spawn_opt(Other, ?MODULE, count, [self()], [link, {message_queue_data, off_heap}]),
    N = tell(Sink, 0, ?WINDOW, erlang:monotonic_time() + Span),
    Sink ! {ends, N},
    receive
        {Sink, counted, Count, Ns} ->
            {io_lib:format("\"size\": ~b, \"messages\": ~b, \"messages_per_s\": ~.1f",
                           [?SIZE, Count, (Count - ?WARM) * 1.0e9 / Ns]), Count =:= N}
    end.

tell(Sink, N, N, Until) ->
    receive {Sink, credit, More} -> tell(Sink, N, More, Until) end;
tell(Sink, N, Credit, Until) ->
    Sink ! payload(N),
    case N >= 2 * ?WARM andalso N rem ?CLOCK_EVERY =:= 0 andalso erlang:monotonic_time() >= Until of
        true -> N + 1;
        false -> tell(Sink, N + 1, Credit, Until)
    end.

count(A) ->
    count(A, 0, 0).

count(A, N, Began) ->
    receive
        {ends, N} ->
            Ns = erlang:convert_time_unit(erlang:monotonic_time() - Began, native, nanosecond),
            unlink(A),
            A ! {self(), counted, N, Ns};
        Words ->
            true = check(Words, N),
            Next = N + 1,
            if Next rem (?WINDOW div 4) =:= 0 -> A ! {self(), credit, Next + ?WINDOW};
               true -> ok
            end,
            count(A, Next, if Next =:= ?WARM -> erlang:monotonic_time(); true -> Began end)
    end.
