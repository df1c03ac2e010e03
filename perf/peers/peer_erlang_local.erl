%% SPDX-License-Identifier: Apache-2.0
%% peer_erlang_local - Erlang's processes of one node, beside proa-savina's actors: ping-pong and counting
%% of the Savina suite, spawning, and the memory of idle processes.  Prints one JSON object.
%%
%% "same core": one scheduler.  "two cores": two, and the two processes are bound to one each; spawning is
%% left to the runtime.  Messages carry their number, and the receiver compares it.
-module(peer_erlang_local).
-export([main/1, idle/1]).

-define(WINDOW, 1000). % increments under way: a mailbox has no bound
-define(CLOCK_EVERY, 64).
-define(BATCH, 1000). % processes alive at once while spawning is timed
-define(IDLE, 100000).
-define(STATE, 64). % bytes, as the other actors whose memory is measured

main([Seconds, Placement]) ->
    Span = erlang:convert_time_unit(round(number(Seconds) * 1.0e9), nanosecond, native),
    Second = erlang:system_info(schedulers_online),
    Memory = memory(),
    {Trips, TripsTook} = run(1, fun() -> ping(bound(Second, fun() -> pong(0) end), 0, until(Span)) end),
    {Counted, CountedTook} =
        run(1, fun() -> produce(bound(Second, fun() -> count(0) end), 0, ?WINDOW, until(Span)) end),
    {Spawned, SpawnedTook} = run(0, fun() -> fork(0, until(Span)) end),
    io:format("{\"peer\": \"erlang\", \"version\": \"OTP ~s, erts ~s\", \"transport\": \"local\", "
              "\"placement\": \"~s\", \"settings\": {\"flags\": \"~s\", \"counting_window\": ~b, "
              "\"alive_while_spawning\": ~b, \"idle_actors\": ~b, \"state_bytes\": ~b}, "
              "\"ping_pong\": {~s}, \"counting\": {~s}, \"spawn\": {~s}, "
              "\"memory_per_actor_bytes\": ~b, \"checked\": true}~n",
              [erlang:system_info(otp_release), erlang:system_info(version), Placement,
               os:getenv("PEER_FLAGS"), ?WINDOW, ?BATCH, ?IDLE, ?STATE,
               rate("messages", 2 * Trips, TripsTook), rate("messages", Counted, CountedTook),
               rate("actors", Spawned, SpawnedTook), Memory]),
    halt(0).

number(Text) ->
    try list_to_float(Text) catch error:badarg -> float(list_to_integer(Text)) end.

until(Span) ->
    erlang:monotonic_time() + Span.

rate(Unit, Count, Took) ->
    Ns = erlang:convert_time_unit(Took, native, nanosecond),
    io_lib:format("\"~s\": ~b, \"~s_per_s\": ~.1f", [Unit, Count, Unit, Count * 1.0e9 / Ns]).

%% A process on that scheduler, whose end is ours; 0: on any.
bound(Scheduler, Body) ->
    spawn_opt(Body, [link, {scheduler, Scheduler}, {message_queue_data, off_heap}]).

%% What Body returns, and how long it took.  A wrong message ends the node, with another status.
run(Scheduler, Body) ->
    Us = self(),
    Began = erlang:monotonic_time(),
    Process = bound(Scheduler, fun() -> Us ! {self(), Body()} end),
    receive {Process, Result} -> {Result, erlang:monotonic_time() - Began} end.

over(N, Until) ->
    N rem ?CLOCK_EVERY =:= 0 andalso erlang:monotonic_time() >= Until.

%% ---- Ping-pong ----

ping(Pong, N, Until) ->
    Pong ! {self(), N},
    receive {Pong, N} -> ok end,
    case over(N + 1, Until) of
        true -> N + 1;
        false -> ping(Pong, N + 1, Until)
    end.

pong(N) ->
    receive {Ping, Number} ->
        N = Number,
        Ping ! {self(), N}
    end,
    pong(N + 1).

%% ---- Counting ----

produce(Counter, N, N, Until) ->
    receive {Counter, credit, Counted} -> produce(Counter, N, Counted + ?WINDOW, Until) end;
produce(Counter, N, Credit, Until) ->
    Counter ! {self(), N},
    case over(N + 1, Until) of
        true ->
            Counter ! {self(), how_many},
            receive {Counter, so_many, Counted} when Counted =:= N + 1 -> Counted end;
        false -> produce(Counter, N + 1, Credit, Until)
    end.

count(N) ->
    receive
        {Producer, how_many} ->
            Producer ! {self(), so_many, N},
            count(N);
        {Producer, Number} ->
            N = Number,
            if (N + 1) rem (?WINDOW div 4) =:= 0 -> Producer ! {self(), credit, N + 1};
               true -> ok
            end,
            count(N + 1)
    end.

%% ---- Spawning: as proa-savina fork-join-create, each is made, works once, answers and ends ----

fork(Done, Until) ->
    Us = self(),
    Sum = lists:sum(lists:seq(Done, Done + ?BATCH - 1)),
    [spawn(fun() -> receive {work, N} -> Us ! {worked, N} end end) ! {work, N}
     || N <- lists:seq(Done, Done + ?BATCH - 1)],
    Sum = join(?BATCH, 0),
    case erlang:monotonic_time() >= Until of
        true -> Done + ?BATCH;
        false -> fork(Done + ?BATCH, Until)
    end.

join(0, Sum) ->
    Sum;
join(Count, Sum) ->
    receive {worked, N} -> join(Count - 1, Sum + N) end.

%% ---- Memory ----

memory() ->
    Before = erlang:memory(processes),
    Processes = [spawn(?MODULE, idle, [list_to_tuple(lists:duplicate(?STATE div 8, N))])
                 || N <- lists:seq(1, ?IDLE)],
    [begin P ! {self(), here}, receive {P, here} -> ok end end || P <- Processes],
    After = erlang:memory(processes),
    [exit(P, kill) || P <- Processes],
    (After - Before) div ?IDLE.

idle(State) ->
    receive {From, here} -> From ! {self(), here} end,
    idle(State).
